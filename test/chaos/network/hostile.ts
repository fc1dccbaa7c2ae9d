/**
 * Clients that break every rule there is (G13). The server answers each request within a second and never with 5xx, the
 * connection works afterwards, the server keeps nothing of a refused request, accepted data comes back byte for byte,
 * and no body makes the server grow. A healthy client appends the whole time.
 */
import * as Path from "node:path"
import type { Random } from "../../support/random.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { Healthy, healthyStream } from "../clients/healthy.ts"
import type { Footprint } from "../harness/footprint.ts"
import { difference, footprint } from "../harness/footprint.ts"
import type { Context, Outcome, Suite } from "../harness/suite.ts"
import { hostileCases } from "./hostile-cases.ts"
import { judge } from "./hostile-judge.ts"
import { keepStrange } from "./hostile-kept.ts"
import { sendLarge } from "./hostile-large.ts"

/** An answer after this time counts as hanging. */
const answerMillisMax = 1_000

export const hostile: Suite = {
  name: "hostile",
  about: "raw requests of broken and hostile clients: the server answers each, and keeps nothing of a refused one",
  rounds: 3,
  run: async (context) => {
    const small = await runCorpus(context, answerMillisMax)
    const large = await sendLarge(Path.join(context.directory, "large"), context.say)
    return {
      counts: { ...small.counts, ...large.counts },
      violations: [...small.violations, ...large.violations]
    }
  }
}

/** Runs every case once a round, in another order each time, and keeps strange but valid data across two restarts. */
export const runCorpus = async (context: Context, answerMillis: number): Promise<Outcome> => {
  const violations: Array<string> = []
  const server = await ServerProcess.make(context.directory)
  await server.start()
  let answers = 0
  let kept = 0
  let appended = 0
  let slowestMillis = 0
  for (let round = 0; round < context.rounds && violations.length === 0; round++) {
    const healthy = new Healthy(server.port, appended, answerMillis)
    const before = await settle(server)
    for (const hostileCase of shuffle(hostileCases, context.random)) {
      const found = await judge(server.port, server.pid, hostileCase, answerMillis)
      answers++
      const changed = difference(before, await footprintOf(server))
      violations.push(
        ...found,
        ...(changed === undefined ? [] : [`${hostileCase.title}: something was kept: ${changed}`])
      )
      if (!server.isRunning || violations.length > 20) break
    }
    if (server.isRunning) {
      const strange = await keepStrange(server, () => healthy.stop())
      kept += strange.kept
      violations.push(...strange.violations)
      const changed = difference(before, { ...await footprintOf(server), files: before.files })
      if (changed !== undefined) violations.push(`The deleted streams are not gone: ${changed}`)
    } else {
      violations.push(`The server ended: ${server.log.slice(-2_000)}`)
    }
    appended = await healthy.stop()
    violations.push(...healthy.violations)
    slowestMillis = Math.max(slowestMillis, healthy.slowestMillis)
    context.say(`${round + 1} rounds, ${answers} answers`)
  }
  if (server.isRunning) violations.push(...await checkHealthy(server.port, appended))
  const errors = server.log.split("\n").filter((line) => /^\S+ (?:Error|Fatal)\b|Unhandled/.test(line))
  if (errors.length > 0) violations.push(`The log has ${errors.length} errors: ${errors.slice(0, 5).join(" | ")}`)
  await server.kill()
  return {
    counts: { cases: hostileCases.length, answers, kept, appended, slowestAppendMillis: Math.round(slowestMillis) },
    violations
  }
}

/** Creates the stream that the cases use, and everything that the server creates at its first use. */
const settle = async (server: ServerProcess): Promise<Footprint> => {
  await ask(server.port, "/v1/stream/__ds/jwks.json")
  const made = { method: "PUT", headers: { "content-type": "application/json" } }
  await ask(server.port, "/v1/stream/kept", { ...made, body: "1" })
  return footprintOf(server)
}

const footprintOf = (server: ServerProcess) => footprint(server.port, server.directory, healthyStream)

/** Checks that all events of the healthy client are there, once and in order. */
const checkHealthy = async (port: number, count: number): Promise<ReadonlyArray<string>> => {
  const page = await ask(port, `/v1/stream/${healthyStream}?offset=-1`)
  const wanted = `[${Array.from({ length: count }, (_, i) => i).join(",")}]`
  return page?.text === wanted
    ? []
    : [`The healthy client's events are others: ${page?.status}, ${page?.text.slice(-200)}`]
}

const shuffle = <A>(items: ReadonlyArray<A>, random: Random): ReadonlyArray<A> =>
  items.map((item) => [random.next(), item] as const).toSorted(([one], [other]) => one - other).map(([, item]) => item)
