/**
 * The shipped program, built from the sources if it is missing or older than they are. It lies apart from `dist/`,
 * which a test of the package builds anew.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as Path from "node:path"

export const root = Path.resolve(import.meta.dirname, "../..")
const directory = Path.join(root, "node_modules/.cache/durable-streams")
export const builtMain = Path.join(directory, "main.js")

export const build = (): void => {
  const built = fs.statSync(builtMain, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
  const newest = Math.max(...sources.map((file) => fs.statSync(Path.join(root, "src", file)).mtimeMs))
  if (built >= newest) return
  // Put in place in one step: other processes may build it at the same time, or run it.
  const made = `${directory}.${process.pid}`
  execFileSync("npm", ["run", "-s", "build:cli"], {
    cwd: root,
    stdio: "ignore",
    env: { ...process.env, BUILD_DIR: made }
  })
  fs.rmSync(directory, { recursive: true, force: true })
  fs.renameSync(made, directory)
}

if (import.meta.main) build()
