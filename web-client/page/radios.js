// Arrow keys in a group of buttons with the role of radio buttons, of which one is in the order of tabs.

export function radioKeys(group) {
    group.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) {
            return;
        }
        event.preventDefault();
        const radios = [...group.querySelectorAll("[role=radio]")];
        const next = radios[(radios.indexOf(document.activeElement) + step + radios.length) % radios.length];
        next.focus();
        next.click();
    });
}

export function checkRadio(group, isChecked) {
    for (const radio of group.querySelectorAll("[role=radio]")) {
        radio.setAttribute("aria-checked", String(isChecked(radio)));
        radio.tabIndex = isChecked(radio) ? 0 : -1;
    }
}
