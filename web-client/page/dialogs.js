// What all dialogs have in common. The browser keeps the focus inside a modal dialog and returns it to the opener.

import { byId, setText } from "./dom.js";
import { textOf } from "./notices.js";

/** Opens a dialog; its Cancel buttons and a click beside it close it. */
export function openDialog(id) {
    const dialog = byId(id);
    for (const button of dialog.querySelectorAll("[data-close]")) {
        button.onclick = () => dialog.close();
    }
    dialog.onclick = (event) => {
        if (event.target === dialog) {
            dialog.close();
        }
    };
    showError(dialog, undefined);
    dialog.showModal();
    return dialog;
}

/** Shows an error in the dialog, beside the control at fault if there is one, which gets the focus. */
export function showError(dialog, error, control) {
    const line = dialog.querySelector("[data-error]");
    for (const marked of dialog.querySelectorAll("[aria-invalid]")) {
        marked.removeAttribute("aria-invalid");
        marked.removeAttribute("aria-describedby");
    }
    setText(line, error === undefined ? "" : textOf(error));
    if (error === undefined) {
        return;
    }
    if (control) {
        control.setAttribute("aria-invalid", "true");
        control.setAttribute("aria-describedby", line.id);
        // Beside the control: after its label.
        (control.closest("label") ?? control).after(line);
        control.focus();
    } else {
        dialog.querySelector(".buttons").before(line);
    }
}
