/**
 * The shipped command line. Whatever starting needs is in `dist/main.js` alone; only what is
 * imported with `import()` lies beside it, and the build fails if starting needs a second file.
 */
import { defineConfig } from "rolldown"

export default defineConfig({
  input: "src/durable-streams/main.ts",
  platform: "node",
  preserveEntrySignatures: "allow-extension",
  output: {
    dir: "dist",
    cleanDir: true,
    format: "esm",
    minify: true,
    // Without the group, what the entry shares with a lazy chunk would move out into a third file.
    codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: "main", tags: ["$initial"] }] }
  },
  plugins: [{
    name: "one-file-to-start",
    generateBundle(_options, bundle) {
      const entry = bundle["main.js"]
      const beside = entry?.type === "chunk" ? entry.imports.filter((file) => file in bundle) : ["no dist/main.js"]
      if (beside.length > 0) this.error(`Starting should need dist/main.js only, but it needs: ${beside.join(", ")}`)
    }
  }]
})
