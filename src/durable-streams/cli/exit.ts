/**
 * How a command ends: one sentence on stderr, and an exit code that scripts can branch on (docs/cli.md).
 */
import { Cause, Data, Exit, Runtime } from "effect"
import { CliError } from "effect/cli"
import { ServerRefused } from "../../client/client-answers.ts"
// oxlint-disable-next-line import/no-unassigned-import -- a class that is loaded makes its exit code known
import "../../domain/errors.ts"
import { exitCodeOfStatus, exitCodes } from "../../domain/exit-codes.ts"
import { exitCodeOfType } from "../../domain/refusal.ts"
import { OutputFailed } from "../process/stdout.ts"

/** The command was used wrongly: `message` says how it is used. */
export class WrongUsage extends Error {
  readonly _tag = "WrongUsage"
  override readonly [Runtime.errorExitCode] = exitCodes.usage
}

/** The command failed, and its report or its log has said so already. */
export class Logged extends Data.TaggedError("Logged")<{ readonly code: number }> {}

export interface Ending {
  readonly code: number
  /** The sentence for stderr; undefined if there is nothing to say, or the command has said it already. */
  readonly message: string | undefined
}

export const endingOf = (exit: Exit.Exit<unknown, unknown>): Ending => {
  if (Exit.isSuccess(exit)) return { code: 0, message: undefined }
  if (Cause.hasInterruptsOnly(exit.cause)) return { code: exitCodes.interrupted, message: undefined }
  const error = Cause.squash(exit.cause)
  if (error instanceof OutputFailed && error.isReaderGone) return { code: 0, message: undefined }
  if (error instanceof Logged) return { code: error.code, message: undefined }
  if (CliError.isCliError(error)) return endingOfUsage(error)
  return {
    code: error instanceof ServerRefused ? exitCodeOfProblem(error) : Runtime.getErrorExitCode(error),
    message: error instanceof Error ? error.message : String(error)
  }
}

const endingOfUsage = (error: CliError.CliError): Ending => {
  if (error._tag !== "ShowHelp") return { code: exitCodes.usage, message: error.message }
  // Help that was asked for, by `--help` or by naming no command, is no mistake.
  if (error.errors.length === 0) return { code: 0, message: undefined }
  const command = error.commandPath.join(" ")
  // Without a command, no flag can be the right one.
  const unknown = error.errors.find((one) => one._tag === "UnknownSubcommand")
  const sentences = (unknown === undefined ? error.errors : [unknown]).map(sentenceOf)
  return { code: exitCodes.usage, message: `${sentences.join(" ")} See: ${command} --help` }
}

/** The parser's error, as one sentence on one line. */
const sentenceOf = (error: CliError.CliError): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `There is no flag ${error.option} here${didYouMean(error.suggestions)}`
    case "UnknownSubcommand":
      return `There is no command ${JSON.stringify(error.subcommand)} here${didYouMean(error.suggestions)}`
    case "MissingOption":
      return `The flag --${error.option} is missing.`
    case "InvalidValue":
      return sentenceOfValue(error)
    default:
      return `${error.message.split("\n")[0]}.`
  }
}

const sentenceOfValue = ({ expected, option, value }: CliError.InvalidValue): string => {
  // The value is a variable's, which stood in for the flag.
  if (isVariable(option)) return valueSentence(option, value, reasonOf(expected))
  const fault = /^Schema validation failed: (.*)$/s.exec(expected)?.[1]
  if (fault === undefined && value === "") return `The flag --${option} needs a value.`
  if (/^\d+ occurrences$/.test(value)) return `The flag --${option} was given more than once.`
  const what = (fault ?? expected).split("\n")[0]!
  const plain = what.replace(/^Expected:? /, "").replace("string representing a finite ", "")
  return valueSentence(`--${option}`, value, reasonOf(plain))
}

const isVariable = (option: string): boolean => /^[A-Z]/.test(option)

/** Says that a flag or a variable does not take this value. */
export const valueSentence = (name: string, value: string, reason: string): string =>
  `The value ${JSON.stringify(value)} of ${name} will not do: ${reason}.`

/** A reason is a clause of its own, or names the values that are taken. */
export const reasonOf = (expected: string): string => expected.startsWith("it ") ? expected : `expected ${expected}`

const didYouMean = (suggestions: ReadonlyArray<string>): string =>
  suggestions.length === 0 ? "." : `; did you mean ${suggestions.join(" or ")}?`

/** A server says in its problem which class its refusal is of. If no such class is loaded here, the status decides. */
const exitCodeOfProblem = ({ problem, status }: ServerRefused): number =>
  exitCodeOfType(String(problem["type"])) ?? exitCodeOfStatus(status)
