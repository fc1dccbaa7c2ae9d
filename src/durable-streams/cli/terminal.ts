/**
 * Where the command line prints: data on stdout, everything else on stderr. What a terminal would obey never reaches one.
 */
import { Effect } from "effect"
import { toVisible, toVisibleLines } from "../../domain/visible-text.ts"
import { writeOut } from "../process/stdout.ts"

/** Prints lines of text or JSON: as they are, or on a terminal with what it would obey escaped. */
export const print = (text: string): Effect.Effect<void> => writeOut(isOnTerminal() ? toVisibleLines(text) : text)

/** Prints what is harmless already, or is to reach a file or a program byte for byte. */
export const printAsIs = (data: string | Uint8Array): Effect.Effect<void> => writeOut(data)

/** Tells the person, in one line. */
export const tell = (line: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`${toVisible(line)}\n`)
  })

export const isOnTerminal = (): boolean => process.stdout.isTTY === true

/** Whether stdout is for eyes that see colour; `NO_COLOR` is honoured (no-color.org). */
export const inColour = (): boolean => isOnTerminal() && process.stdout.hasColors()

/** Whether somebody types, rather than a pipe or a file. */
export const isTyped = (): boolean => process.stdin.isTTY === true
