/**
 * The time of `stream append` for a person while the server runs: the built file, and the sources through tsx.
 */
import { execFile } from "node:child_process"
import * as Path from "node:path"
import { builtMain, root } from "../support/built.ts"
import { figure } from "./figures.ts"
import { atMost, type Row } from "./report.ts"
import { sourceMain, startOurs, withoutOurs, withServers } from "./servers.ts"
import type { Workload } from "./workload.ts"

const rounds = 11

export const commandLine: Workload = {
  name: "command-line",
  about:
    `\`stream append\` while the server runs, in turns with \`node -e 0\`, ${rounds} rounds. The time is from the start ` +
    "of the process to its end.",
  run: () =>
    withServers(async (servers) => {
      const directory = servers.directory()
      await servers.add(startOurs(directory, []))
      const append = ["stream", "append", "-n", "bench", "-m", "hello", "--no-start", `--data-dir=${directory}`]
      const commands = [
        { what: "node -e 0", server: "bare", args: ["-e", "0"] },
        { what: "stream append, built", server: "ours", args: [builtMain, ...append] },
        {
          what: "stream append, through tsx",
          server: "ours",
          args: [Path.join(root, "node_modules/tsx/dist/cli.mjs"), sourceMain, ...append]
        }
      ]
      const millis: ReadonlyArray<Array<number>> = commands.map(() => [])
      for (let round = -1; round < rounds; round++) {
        for (const [i, { args }] of commands.entries()) {
          const took = await time(args)
          // The first round fills caches of files and code, which are full on any day but the first.
          if (round >= 0) millis[i]!.push(took)
        }
      }
      const more = figure(millis[1]!.map((built, i) => built - millis[0]![i]!)).median
      return commands.map(({ server, what }, i): Row => ({
        work: "command-line",
        what,
        server,
        millis: figure(millis[i]!),
        goals: i === 1 ? [atMost("at most 120 ms more than node -e 0", more, 120)] : []
      }))
    })
}

/** Runs Node with these arguments. Returns the milliseconds until it has ended. */
const time = (args: ReadonlyArray<string>): Promise<number> =>
  new Promise((resolve, reject) => {
    const from = performance.now()
    execFile(process.execPath, args, { env: withoutOurs(), timeout: 30_000 }, (error, _, said) => {
      if (error === null) resolve(performance.now() - from)
      else reject(new Error(`node ${args.join(" ")} failed: ${said}`))
    })
  })
