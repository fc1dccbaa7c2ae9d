/**
 * Arguments as a person types them. A flag that takes a value takes the next argument whatever it looks like, as POSIX
 * has it: `--offset -1`, `-m "-5 degrees"`, `-m --help`.
 */
import type { Command } from "effect/cli"
import { Completions } from "effect/cli"

type Described = ReturnType<typeof Completions.fromCommand>

/** Joins the flags of these commands to values that begin with a dash, which the parser would take for flags. */
export const joinDashedValues = (root: Command.Command.Any, args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const takesValue = new Set(flagsWithValue(Completions.fromCommand(root)))
  const joined: Array<string> = []
  for (let i = 0; i < args.length; i++) {
    const [flag, value] = [args[i]!, args[i + 1]]
    if (flag === "--") return [...joined, ...args.slice(i)]
    if (takesValue.has(flag) && value !== undefined && value.startsWith("-")) {
      joined.push(`${flag}=${value}`)
      i++
    } else {
      joined.push(flag)
    }
  }
  return joined
}

const flagsWithValue = ({ flags, subcommands }: Described): ReadonlyArray<string> => [
  ...flags.filter(({ type }) => type._tag !== "Boolean").flatMap(({ aliases, name }) => [
    `--${name}`,
    ...aliases.map((alias) => alias.length === 1 ? `-${alias}` : `--${alias}`)
  ]),
  ...subcommands.flatMap(flagsWithValue)
]
