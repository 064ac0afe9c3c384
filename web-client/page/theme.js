// The color theme: the user's choice, or else the system's preference.

const KEY = "proscenium.theme";
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

const system = () => (prefersDark.matches ? "dark" : "light");

export function theme() {
    return localStorage.getItem(KEY) ?? system();
}

/** The viewer's theme that matches the page's. */
export function viewerTheme() {
    return theme() === "dark" ? "Pro Dark" : "Pro Light";
}

export function onTheme(listener) {
    listeners.add(listener);
}

/** Shows the other theme. Back at the system's preference, the page follows the system again. */
export function toggleTheme() {
    const other = theme() === "dark" ? "light" : "dark";
    if (other === system()) {
        localStorage.removeItem(KEY);
    } else {
        localStorage.setItem(KEY, other);
    }
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
