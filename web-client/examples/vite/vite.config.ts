import { defineConfig } from "vite";

export default defineConfig({
    build: { target: "esnext" },
    // Vite's development server would move the modules away from the files that they name by their own address.
    optimizeDeps: { exclude: ["proscenium-web-client", "@perspective-dev/client", "@perspective-dev/viewer"] },
    worker: { format: "es" },
});
