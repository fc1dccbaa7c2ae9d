/**
 * The TypeScript files of a folder of the house, for the tests that look at them all.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { File } from "./floors.ts"

/** Reads every TypeScript file below a folder of the root, in the order of their paths. */
export const readFiles = (folder: string): ReadonlyArray<File> => {
  const root = join(import.meta.dirname, "../..")
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .toSorted()
    .map((path) => ({ path: `${folder}/${path}`, text: readFileSync(join(root, folder, path), "utf8") }))
}
