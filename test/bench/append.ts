/**
 * Appends over HTTP: what one costs the server in memory, and how much of that throughput is left when every one of them
 * waits for the disk.
 */
import { type Loaded, percentile, post } from "./load.ts"
import { type Bench, figure, ratios, type Row, show } from "./report.ts"
import { removeDirectory, type ServerProcess, startBare, startOurs, temporaryDirectory } from "./servers.ts"

const rounds = 7
const requests = 20_000
const warmUpRequests = 20_000

/** A small event, as a chat or a build log has them. */
const data = JSON.stringify({ type: "message", text: "The tests are green, and the build took 12.3 seconds." })
const body = `{"data":${data}}`

export const append: Bench = {
  name: "append",
  about:
    `${requests.toLocaleString("en")} appends of ${body.length} bytes a round, ${rounds} rounds, one after the other ` +
    `on each connection, all to one stream. Server CPU is user and system time of all its threads.`,
  run: async () => {
    const directories = [temporaryDirectory(), temporaryDirectory()] as const
    const bare = await startBare()
    const memory = await startOurs(directories[0], ["--storage=memory"])
    const disk = await startOurs(directories[1], ["--durability=fsync"])
    const rows = [
      ...(await cpuPerAppend(memory, bare)),
      ...(await throughput(disk, memory))
    ]
    await Promise.all([bare, memory, disk].map((server) => server.stop()))
    for (const directory of directories) removeDirectory(directory)
    return rows
  }
}

const cpuPerAppend = async (memory: ServerProcess, bare: ServerProcess): Promise<ReadonlyArray<Row>> => {
  const ours = against(memory, "/streams/bench", 32)
  const baseline = against(bare, "/echo", 32)
  await interleaved(ours, baseline)
  return [{
    what: "append, memory, 32 connections: server CPU",
    ours: show(figure(ours.micros), "µs"),
    baseline: show(figure(baseline.micros), "µs"),
    ratio: show(ratios(ours.micros, baseline.micros), "×", 2),
    target: "at most 2.6 × bare",
    met: ratios(ours.micros, baseline.micros).median <= 2.6
  }, {
    what: "append, memory, 32 connections: throughput",
    ours: show(figure(ours.perSecond), "/s", 0),
    baseline: show(figure(baseline.perSecond), "/s", 0),
    ratio: show(ratios(ours.perSecond, baseline.perSecond), "×", 2),
    target: "",
    met: undefined
  }, latency("append, memory, 32 connections: 99th percentile", ours, baseline)]
}

const throughput = async (disk: ServerProcess, memory: ServerProcess): Promise<ReadonlyArray<Row>> => {
  const ours = against(disk, "/streams/bench", 64)
  const baseline = against(memory, "/streams/bench", 64)
  await interleaved(ours, baseline)
  return [{
    what: "append, fsync, 64 connections: throughput against memory",
    ours: show(figure(ours.perSecond), "/s", 0),
    baseline: show(figure(baseline.perSecond), "/s", 0),
    ratio: show(ratios(ours.perSecond, baseline.perSecond), "×", 2),
    target: "at least 0.60 × memory",
    met: ratios(ours.perSecond, baseline.perSecond).median >= 0.6
  }, {
    what: "append, fsync, 64 connections: server CPU against memory",
    ours: show(figure(ours.micros), "µs"),
    baseline: show(figure(baseline.micros), "µs"),
    ratio: show(ratios(ours.micros, baseline.micros), "×", 2),
    target: "",
    met: undefined
  }, latency("append, fsync, 64 connections: 99th percentile", ours, baseline)]
}

interface Measured {
  readonly run: () => Promise<void>
  readonly warmUp: () => Promise<unknown>
  /** Server CPU for each append, a value a round. */
  readonly micros: Array<number>
  readonly perSecond: Array<number>
  readonly slowest: Array<number>
}

const against = (server: ServerProcess, path: string, connections: number): Measured => {
  const send = (requests: number): Promise<Loaded> => post({ port: server.port, path, body, connections, requests })
  const measured: Measured = {
    warmUp: () => send(warmUpRequests),
    run: async () => {
      const before = server.cpu()
      const { latencies, wallMillis } = await send(requests)
      measured.micros.push((server.cpu() - before) / requests)
      measured.perSecond.push(requests / wallMillis * 1000)
      measured.slowest.push(percentile(latencies, 0.99))
    },
    micros: [],
    perSecond: [],
    slowest: []
  }
  return measured
}

/** Turn by turn, so that what else the machine does meets both. */
const interleaved = async (ours: Measured, baseline: Measured) => {
  await ours.warmUp()
  await baseline.warmUp()
  for (let round = 0; round < rounds; round++) {
    await ours.run()
    await baseline.run()
  }
}

const latency = (what: string, ours: Measured, baseline: Measured): Row => ({
  what,
  ours: show(figure(ours.slowest), "ms"),
  baseline: show(figure(baseline.slowest), "ms"),
  ratio: show(ratios(ours.slowest, baseline.slowest), "×", 2),
  target: "",
  met: undefined
})
