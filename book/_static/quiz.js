// Quizzes: a button that checks the choice, and words that say what came of it. Without this script the answers open on a click.
document.addEventListener("DOMContentLoaded", () => {
  for (const question of document.querySelectorAll(".quiz-question")) {
    const inputs = [...question.querySelectorAll("input")];
    const key = question.querySelector(".quiz-key");
    const answers = [...key.querySelectorAll("li")];
    const isRight = answers.map((answer) => answer.dataset.right === "true");
    const wanted = isRight.filter(Boolean).length;

    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiz-check";
    button.textContent = "Check";
    const feedback = document.createElement("div");
    feedback.className = "quiz-feedback";
    feedback.setAttribute("aria-live", "polite");
    key.before(button, feedback);
    question.classList.add("quiz-live"); // the answers stay out of sight until a choice was checked

    const say = (words, kind) => {
      const line = document.createElement("p");
      line.textContent = words;
      feedback.className = `quiz-feedback quiz-${kind}`;
      feedback.replaceChildren(line);
    };

    button.addEventListener("click", () => {
      const chosen = inputs.flatMap((input, i) => (input.checked ? [i] : []));
      if (!chosen.length) return say("Choose an answer first.", "open");
      const hits = chosen.filter((i) => isRight[i]).length;
      const solved = hits === wanted && chosen.length === wanted;
      if (solved) say("Right.", "right");
      else if (wanted === 1) say("Not right.", "wrong");
      else say(`Not yet: ${hits} of ${wanted} right answers chosen, and ${chosen.length - hits} wrong.`, "wrong");
      if (wanted === 1) feedback.append(answers[chosen[0]].querySelector(".quiz-why").cloneNode(true));
      else {
        const list = document.createElement("ul");
        for (const i of chosen) list.append(answers[i].cloneNode(true));
        feedback.append(list);
      }
      question.classList.add("quiz-checked");
    });

    for (const input of inputs) {
      input.addEventListener("change", () => {
        feedback.className = "quiz-feedback";
        feedback.replaceChildren(); // what was said was about another choice
      });
    }
  }
});
