/**
 * The program as it is shipped, made from the sources when it is not there or older than they are.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as Path from "node:path"

export const root = Path.resolve(import.meta.dirname, "..")
export const builtMain = Path.join(root, "dist/main.js")

export const build = (): void => {
  const built = fs.statSync(builtMain, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const sources = fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
  const newest = Math.max(...sources.map((file) => fs.statSync(Path.join(root, "src", file)).mtimeMs))
  if (built < newest) execFileSync("npm", ["run", "-s", "build:cli"], { cwd: root, stdio: "ignore" })
}
