/**
 * How a command ends: one sentence on stderr, and an exit code that scripts can branch on (docs/cli.md).
 */
import { Cause, Data, Exit, Predicate } from "effect"
import { CliError } from "effect/cli"
import { OutputFailed } from "../process/stdout.ts"

/** The command was used wrongly: `message` says how it is used. */
export class WrongUsage extends Error {
  readonly _tag = "WrongUsage"
}

/** The command failed, and its report or its log has said so already. */
export class Logged extends Data.TaggedError("Logged")<{ readonly code: number }> {}

const codes = { error: 1, usage: 2, notFound: 3, notAllowed: 4, conflict: 5, unreachable: 6, interrupted: 130 } as const

export interface Ending {
  readonly code: number
  /** The sentence for stderr; undefined when there is nothing to say, or the command has said it already. */
  readonly message: string | undefined
}

export const endingOf = (exit: Exit.Exit<unknown, unknown>): Ending => {
  if (Exit.isSuccess(exit)) return { code: 0, message: undefined }
  if (Cause.hasInterruptsOnly(exit.cause)) return { code: codes.interrupted, message: undefined }
  const error = Cause.squash(exit.cause)
  if (error instanceof OutputFailed && error.isReaderGone) return { code: 0, message: undefined }
  if (error instanceof Logged) return { code: error.code, message: undefined }
  if (CliError.isCliError(error)) return endingOfUsage(error)
  const message = error instanceof Error ? error.message : String(error)
  switch (Predicate.hasProperty(error, "_tag") ? error._tag : undefined) {
    case "WrongUsage":
      return { code: codes.usage, message }
    case "NotRunning":
    case "NoDataDirectory":
      return { code: codes.notFound, message }
    case "ServerUnreachable":
    case "AnswerUnusable":
      return { code: codes.unreachable, message }
    case "ServerRefused":
      return { code: codeOfRefusal(error as Refused), message }
    case "DataDirectoryNotTrusted":
      return { code: codes.notAllowed, message }
    case "DataDirectoryInUse":
    case "DataDirectoryMoved":
    case "ServerSilent":
      return { code: codes.conflict, message }
    default:
      return { code: codes.error, message }
  }
}

const endingOfUsage = (error: CliError.CliError): Ending => {
  if (error._tag !== "ShowHelp") return { code: codes.usage, message: error.message }
  // Help that was asked for, by `--help` or by naming no command, is no mistake.
  if (error.errors.length === 0) return { code: 0, message: undefined }
  const command = error.commandPath.join(" ")
  // Without a command, no flag can be the right one.
  const unknown = error.errors.find((one) => one._tag === "UnknownSubcommand")
  const sentences = (unknown === undefined ? error.errors : [unknown]).map(sentenceOf)
  return { code: codes.usage, message: `${sentences.join(" ")} See: ${command} --help` }
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

interface Refused {
  readonly status: number
  readonly problem: Readonly<Record<string, unknown>>
}

const codeOfRefusal = ({ problem, status }: Refused): number =>
  codesByProblem[String(problem["type"]).replace(/^urn:durable-streams:/, "")] ?? codesByStatus[status] ?? codes.error

/** Refusals whose status alone would say another code: another writer has changed the stream. */
const codesByProblem: Readonly<Record<string, number>> = {
  ProducerFenced: codes.conflict,
  StreamGone: codes.conflict
}

const codesByStatus: Readonly<Record<number, number>> = {
  400: codes.usage,
  401: codes.notAllowed,
  403: codes.notAllowed,
  404: codes.notFound,
  409: codes.conflict,
  410: codes.notFound,
  412: codes.conflict
}
