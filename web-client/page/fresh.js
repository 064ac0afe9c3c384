// Reads something again and again while the page is visible.

/** Calls `read` each `period` milliseconds; one that takes long is called less often. */
export async function keepFresh(read, period) {
    for (let took = 0; ; ) {
        await new Promise((resolve) => setTimeout(resolve, Math.max(period, 10 * took)));
        const began = performance.now();
        if (document.visibilityState === "visible") {
            await read();
        }
        took = performance.now() - began;
    }
}
