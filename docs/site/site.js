// Set the formulas. An error is thrown, so that a build with a wrong one is noticed.
document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".formula")) {
    katex.render(element.textContent, element, { displayMode: element.tagName === "DIV" });
  }
});
