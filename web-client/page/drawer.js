// On narrow screens the list of tables is a drawer.

import { byId } from "./dom.js";

const narrow = matchMedia("(max-width: 800px)");
const rail = byId("rail");
const button = byId("drawer");

export function closeDrawer() {
    set(false);
}

function set(isOpen) {
    const hadFocus = rail.contains(document.activeElement);
    rail.classList.toggle("open", isOpen);
    byId("shade").hidden = !(isOpen && narrow.matches);
    button.setAttribute("aria-expanded", String(isOpen));
    // A closed drawer cannot be reached by keyboard or screen reader.
    rail.inert = narrow.matches && !isOpen;
    if (isOpen) {
        byId("search").focus();
    } else if (hadFocus && narrow.matches) {
        button.focus();
    }
}

button.addEventListener("click", () => set(!rail.classList.contains("open")));
byId("shade").addEventListener("click", closeDrawer);
rail.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && narrow.matches) {
        closeDrawer();
    }
});
narrow.addEventListener("change", closeDrawer);
closeDrawer();
