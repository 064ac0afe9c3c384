// The engine for the browser, which a server that was just built may get after the page is open.

const PERIOD_MS = 5000;

export async function engineIsThere() {
    return (await fetch("engine/engine.js", { cache: "no-store" })).ok;
}

/** Marks the modes that need the engine until it is there. */
export async function offerModes(modes, isThere) {
    const waiting = [...modes.children].filter((button) => button.dataset.mode !== "server");
    while (!isThere && !(await engineIsThere().catch(() => false))) {
        for (const button of waiting) {
            button.classList.add("later");
            button.setAttribute("aria-description", "the engine for the browser is not there yet");
        }
        await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    }
    for (const button of waiting) {
        button.classList.remove("later");
        button.removeAttribute("aria-description");
    }
}
