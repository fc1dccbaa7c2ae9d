/**
 * Arguments as a person types them. A flag that takes a value takes the next argument whatever it looks like, as POSIX
 * has it: `--offset -1`, `-m "-5 degrees"`, `-m --help`.
 */

const taking = new Set([
  "-n",
  "--name",
  "-m",
  "--message",
  "-e",
  "--event",
  "-l",
  "--limit",
  "-o",
  "--output",
  "-i",
  "--input",
  "--invalid",
  "--offset",
  "--tail",
  "--since",
  "--prefix",
  "--after",
  "--data-dir",
  "--to",
  "--sub-offset",
  "--content-type",
  "--ttl",
  "--expires-at",
  "--if-match",
  "--seq",
  "--producer-id",
  "--producer-epoch",
  "--producer-seq",
  "--cors-origin",
  "--allow-host",
  "--long-poll-timeout"
])

/** Joins those flags to values that begin with a dash, which the parser would take for flags. */
export const joinDashedValues = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const joined: Array<string> = []
  for (let i = 0; i < args.length; i++) {
    const [flag, value] = [args[i]!, args[i + 1]]
    if (flag === "--") return [...joined, ...args.slice(i)]
    if (taking.has(flag) && value !== undefined && value.startsWith("-")) {
      joined.push(`${flag}=${value}`)
      i++
    } else {
      joined.push(flag)
    }
  }
  return joined
}
