/**
 * The output of the command line: data on stdout, everything else on stderr. Characters that a terminal obeys never reach
 * one.
 */
import { Effect } from "effect"
import { toVisible, toVisibleLines } from "../../domain/visible-text.ts"
import { writeOut } from "../process/stdout.ts"

/** Prints lines of text or JSON: as they are, or, on a terminal, with the characters escaped that it obeys. */
export const print = (text: string): Effect.Effect<void> => writeOut(isOnTerminal() ? toVisibleLines(text) : text)

/** Prints data byte for byte; a caller that prints to a terminal escapes it first. */
export const printAsIs = (data: string | Uint8Array): Effect.Effect<void> => writeOut(data)

/** Tells the person, in one line. */
export const tell = (line: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`${toVisible(line)}\n`)
  })

export const isOnTerminal = (): boolean => process.stdout.isTTY === true

/** Whether stdout is for eyes that see colour; `NO_COLOR` is honoured (no-color.org). */
export const inColour = (): boolean => isOnTerminal() && process.stdout.hasColors()

/** Whether stdin is a person's keyboard, and no pipe or file. */
export const isTyped = (): boolean => process.stdin.isTTY === true
