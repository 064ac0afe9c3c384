// Keys of the whole page: "/" goes to the search, and the first link skips the list.

import { byId } from "./dom.js";

byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("main").focus();
});

addEventListener("keydown", (event) => {
    // Within the viewer and in texts it is a letter.
    const isPage = event.target === document.body || event.target.closest("button, a, #rail, #main:focus");
    const isText = event.target.matches("input, textarea, select");
    if (event.key !== "/" || !isPage || isText || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) {
        return;
    }
    event.preventDefault();
    if (byId("rail").inert) {
        byId("drawer").click();
    }
    byId("search").focus();
});
