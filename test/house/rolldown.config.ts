/**
 * The shipped program: `dist/main.js`, which is started, and `dist/program.js`, which is all of the command line and the
 * server. Only the page at `/docs`, which is far larger, lies beside them and is read when somebody asks for it; the
 * build fails otherwise.
 */
import { defineConfig } from "rolldown"

export default defineConfig([{
  input: "src/durable-streams/main.ts",
  platform: "node",
  output: { dir: "dist", cleanDir: true, format: "esm", minify: true },
  plugins: [{
    name: "program-beside",
    resolveId: (id) => id === "./program.ts" ? { id: "./program.js", external: true } : undefined
  }]
}, {
  input: "src/durable-streams/program.ts",
  platform: "node",
  preserveEntrySignatures: "allow-extension",
  output: {
    dir: "dist",
    format: "esm",
    minify: true,
    // Without the group, the server and what it shares with the entry would move out into other files.
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [{ name: "program", test: (id) => !/docs-page|HttpApiScalar|httpApiScalar/.test(id) }]
    }
  },
  plugins: [{
    name: "one-file-to-run",
    generateBundle(_options, bundle) {
      const entry = bundle["program.js"]
      const beside = entry?.type === "chunk" ? entry.imports.filter((file) => file in bundle) : ["no dist/program.js"]
      if (beside.length > 0) this.error(`Running should need dist/program.js only, but it needs: ${beside.join(", ")}`)
    }
  }]
}])
