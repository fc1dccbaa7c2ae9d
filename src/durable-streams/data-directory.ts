/**
 * The data directory itself, and the small files in it by which a server says where it is.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import { DaemonFailed } from "./settings.ts"

/** Makes the data directory where it is not there, for its user alone. */
export const makeDataDirectory = (path: string): Effect.Effect<void, DaemonFailed> =>
  Effect.try({
    try: () => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
    catch: (cause) =>
      new DaemonFailed({
        message: `Could not make the data directory ${path}: ${(cause as Error).message}. ` +
          "Choose another with --data-dir."
      })
  })

/** What a small file holds; undefined where there is none. */
export const readText = (path: string): string | undefined => {
  try {
    return fs.statSync(path).size > 64 ? undefined : fs.readFileSync(path, "utf8").trim()
  } catch {
    return undefined
  }
}

/** The digits that stand alone in a small file; undefined for anything else. */
export const readDigits = (path: string): string | undefined => {
  const text = readText(path)
  return text !== undefined && /^\d{1,10}$/.test(text) ? text : undefined
}
