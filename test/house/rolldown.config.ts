/**
 * The shipped program: `dist/main.js`, which is started, `dist/program.js`, the command line, and the code that it
 * shares with files that are read later. The server is one of those, read only by a process that becomes a server; so
 * is the page at `/docs`, which is far larger, when a client asks for it. The build fails if a command would read more.
 */
import { defineConfig } from "rolldown"

/**
 * One shared with the server, one with the rest of the client. Each further file costs a command a part of a
 * millisecond.
 */
const besideMax = 2

/** The folders of `src` that only a server needs. */
const serverFolders =
  /src\/(storage-filesystem|stream|hooks|manager|http-node|stream-http|native-api|protocol|subscriptions)\//

/** Tests set a directory of their own. */
const dir = process.env["BUILD_DIR"] ?? "dist"

export default defineConfig([{
  input: "src/durable-streams/main.ts",
  platform: "node",
  output: { dir, cleanDir: true, format: "esm", minify: true },
  plugins: [{
    name: "program-beside",
    resolveId: (id) => id === "./program.ts" ? { id: "./program.js", external: true } : undefined
  }]
}, {
  input: "src/durable-streams/program.ts",
  platform: "node",
  preserveEntrySignatures: "allow-extension",
  output: { dir, format: "esm", minify: true },
  plugins: [{
    name: "little-to-run",
    generateBundle(_options, bundle) {
      const entry = bundle["program.js"]
      const beside = entry?.type === "chunk" ? entry.imports.filter((file) => file in bundle) : ["no program.js"]
      const parts = Object.values(bundle).filter((file) =>
        file.type === "chunk" && [entry?.fileName, ...beside].includes(file.fileName)
      )
      const modules = parts.flatMap((file) => file.type === "chunk" ? file.moduleIds : [])
      const server = modules.filter((id) => serverFolders.test(id))
      if (beside.length > besideMax || server.length > 0) {
        this.error(
          `A command should read program.js and ${besideMax} files more, and nothing of the server: ${
            [...beside, ...server].join(", ")
          }`
        )
      }
    }
  }]
}])
