// Films are GIFs, which no browser can pause: a stopped one gives its place to a still. Who asked the system for less
// motion finds them stopped.
"use strict";

(() => {
  const button = document.getElementById("films");
  let stopped = matchMedia("(prefers-reduced-motion: reduce)").matches;

  function arrange(image) {
    let still = image.nextElementSibling?.matches("canvas.film") ? image.nextElementSibling : null;
    if (stopped && !still && image.naturalWidth) {
      still = document.createElement("canvas");
      still.className = "film";
      still.width = image.naturalWidth;
      still.height = image.naturalHeight;
      still.setAttribute("role", "img");
      still.setAttribute("aria-label", image.alt);
      still.getContext("2d").drawImage(image, 0, 0);
      image.after(still);
    }
    if (still) still.hidden = !stopped;
    image.hidden = stopped && Boolean(still);
  }

  function draw() {
    button.textContent = stopped ? "Play the films" : "Stop the films";
    document.querySelectorAll("img.film").forEach(arrange);
  }

  button.addEventListener("click", () => {
    stopped = !stopped;
    draw();
  });
  document.addEventListener("load", (event) => event.target.matches?.("img.film") && arrange(event.target), true);
  draw();
})();
