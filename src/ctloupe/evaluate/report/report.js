"use strict";
const opened = document.getElementById("opened");
const large = opened.querySelector(".large");
for (const link of document.querySelectorAll("figure a.open")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const picture = link.querySelector("img").cloneNode();
    large.replaceChildren(picture);
    opened.showModal();
  });
}
opened.querySelector("button").addEventListener("click", () => opened.close());
// A click beside the picture falls on the dialog itself.
opened.addEventListener("click", (event) => event.target === opened && opened.close());
