/**
 * A server of ours and the reference server doing the same work by turns, and the rows that come of it.
 */
import { figure, ratios, type Row, show } from "./report.ts"
import type { ServerProcess } from "./servers.ts"

/** What is held against what. */
export interface Pair {
  readonly name: string
  readonly ours: ServerProcess
  readonly reference: ServerProcess
}

/** The path of a stream, which both servers have in the same place. */
export const streamPath = (name: string): string => `/v1/stream/${name}`

export const makeStream = async ({ port }: ServerProcess, name: string): Promise<void> => {
  const answer = await fetch(`http://127.0.0.1:${port}${streamPath(name)}`, {
    method: "PUT",
    headers: { "content-type": "application/json" }
  })
  await answer.arrayBuffer()
  if (!answer.ok) throw new Error(`The stream was not made: ${answer.status}`)
}

/** Takes the stream away and makes it again: nothing of a round before is paid for in the next one. */
export const makeAnew = async (server: ServerProcess, name: string): Promise<void> => {
  await fetch(`http://127.0.0.1:${server.port}${streamPath(name)}`, { method: "DELETE" })
  await makeStream(server, name)
}

/** Values of the rounds. */
export interface Measured {
  readonly perSecond: ReadonlyArray<number>
  /** Server CPU for each operation. */
  readonly micros: ReadonlyArray<number>
}

export interface Both {
  readonly ours: Measured
  readonly reference: Measured
}

/** On a machine that is busy with other things, fewer rounds are measured than wanted, but never fewer than three. */
const millisMax = 12_000

/**
 * One piece of work on both servers by turns, once to warm up; `work` does so many operations. Ours may do it several
 * times a round: processor time is counted in ticks of 10 ms. `before` is not counted.
 */
export const turnByTurn = async (
  { ours, reference }: Pair,
  rounds: number,
  operations: number,
  work: (server: ServerProcess) => Promise<unknown>,
  oursTimes = 1,
  before: (server: ServerProcess) => Promise<unknown> = () => Promise.resolve()
): Promise<Both> => {
  const both = { ours: { perSecond: [], micros: [] }, reference: { perSecond: [], micros: [] } }
  const one = async (server: ServerProcess, times: number, measured: Record<keyof Measured, Array<number>>) => {
    await before(server)
    const cpu = server.cpu()
    const from = performance.now()
    for (let i = 0; i < times; i++) await work(server)
    measured.perSecond.push(operations * times / (performance.now() - from) * 1_000)
    measured.micros.push((server.cpu() - cpu) / (operations * times))
  }
  const from = performance.now()
  for (let i = 0; i < oursTimes; i++) await work(ours)
  await work(reference)
  for (let round = 0; round < rounds; round++) {
    if (round >= 3 && performance.now() - from > millisMax) break
    await one(ours, oursTimes, both.ours)
    await one(reference, 1, both.reference)
  }
  return both
}

/** A row for the throughput, and one for what each operation costs the server. */
export const rowsOf = (
  what: string,
  { ours, reference }: Both
): ReadonlyArray<Row> => [
  {
    what: `${what}: throughput`,
    ours: show(figure(ours.perSecond), "/s", 0),
    baseline: show(figure(reference.perSecond), "/s", 0),
    ratio: show(ratios(ours.perSecond, reference.perSecond), "×", 2),
    target: "",
    met: undefined
  },
  {
    what: `${what}: server CPU`,
    ours: show(figure(ours.micros), "µs", 2),
    baseline: show(figure(reference.micros), "µs", 2),
    ratio: show(ratios(ours.micros, reference.micros), "×", 2),
    target: "",
    met: undefined
  }
]
