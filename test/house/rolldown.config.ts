/**
 * The shipped program: `dist/main.js` alone, command line and server. Only the page at `/docs`, which
 * is far larger, lies beside it and is read when somebody asks for it; the build fails otherwise.
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
    // Without the group, the server and what it shares with the entry would move out into other files.
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: "main", test: (id) => !/docs-page|HttpApiScalar|httpApiScalar/.test(id) }]
    }
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
