/**
 * Where the command line prints: data on stdout, everything else on stderr.
 */
import { Effect } from "effect"

/** Prints data. Waits while the reader is slow, so that nothing piles up here. */
export const print = (data: string | Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) => {
    process.stdout.write(data, () => resume(Effect.void))
  })

/** Tells the person. */
export const tell = (line: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`${line}\n`)
  })

/** Whether stdout is for eyes that see colour; `NO_COLOR` is honoured (no-color.org). */
export const inColour = (): boolean => process.stdout.isTTY === true && process.stdout.hasColors()

/** Whether somebody types, rather than a pipe or a file. */
export const isTyped = (): boolean => process.stdin.isTTY === true
