// The color theme: the user's choice, or else the system's preference.

const KEY = "proscenium.theme";
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export function theme() {
    return localStorage.getItem(KEY) ?? (prefersDark.matches ? "dark" : "light");
}

/** The viewer's theme that matches the page's. */
export function viewerTheme() {
    return theme() === "dark" ? "Pro Dark" : "Pro Light";
}

export function onTheme(listener) {
    listeners.add(listener);
}

export function toggleTheme() {
    localStorage.setItem(KEY, theme() === "dark" ? "light" : "dark");
    apply();
}

function apply() {
    document.documentElement.dataset.theme = theme();
    for (const listener of listeners) {
        listener();
    }
}

prefersDark.addEventListener("change", apply);
apply();
