/**
 * Starting: the command line with a server running, the server until it answers, and a log of a million events against
 * one of a single event.
 */
import { execFile } from "node:child_process"
import * as http from "node:http"
import * as Path from "node:path"
import { post } from "./load.ts"
import { makeMillion } from "./million.ts"
import { type Bench, figure, ratios, type Row, show } from "./report.ts"
import {
  builtMain,
  removeDirectory,
  root,
  type ServerProcess,
  sourceMain,
  startBare,
  startOurs,
  temporaryDirectory,
  withoutOurs
} from "./servers.ts"

const commandRounds = 11
const serverRounds = 7
const openRounds = 30

export const startUp: Bench = {
  name: "start-up",
  about:
    `\`stream append\` with the server running against \`node -e 0\`, ${commandRounds} rounds; a server until it answers ` +
    `against a bare one, ${serverRounds} rounds; the last event of a sleeping log of a million events against a log of ` +
    `one, ${openRounds} rounds.`,
  run: async () => {
    const directory = temporaryDirectory()
    await makeMillion(directory)
    const server = await startOurs(directory, [], { DURABLE_STREAMS_STREAM_IDLE: "10 millis" })
    const rows = [...(await commands(directory)), ...(await servers()), ...(await opening(server))]
    await server.stop()
    removeDirectory(directory)
    return rows
  }
}

/** What a person waits for. */
const commands = async (directory: string): Promise<ReadonlyArray<Row>> => {
  const append = ["stream", "append", "-n", "bench", "-m", "hello", "--no-start", `--data-dir=${directory}`]
  const tsx = Path.join(root, "node_modules/tsx/dist/cli.mjs")
  const nothing: Array<number> = []
  const built: Array<number> = []
  const throughTsx: Array<number> = []
  for (let round = -1; round < commandRounds; round++) {
    const millis = [
      await timed(["-e", "0"]),
      await timed([builtMain, ...append]),
      await timed([tsx, sourceMain, ...append])
    ] as const
    // The first round fills caches of files and code, as they are on any day but the first.
    if (round < 0) continue
    nothing.push(millis[0])
    built.push(millis[1])
    throughTsx.push(millis[2])
  }
  const more = figure(built.map((millis, i) => millis - nothing[i]!))
  const whole = figure(throughTsx)
  return [{
    what: "stream append, built: wall time against node -e 0",
    ours: show(figure(built), "ms", 0),
    baseline: show(figure(nothing), "ms", 0),
    ratio: show(more, "ms more", 0),
    target: "at most 250 ms more",
    met: more.median <= 250
  }, {
    what: "stream append, through tsx: wall time against node -e 0",
    ours: show(whole, "ms", 0),
    baseline: show(figure(nothing), "ms", 0),
    ratio: show(ratios(throughTsx, nothing), "×"),
    target: "at most 1,200 ms",
    met: whole.median <= 1_200
  }]
}

/** Runs Node with these arguments; milliseconds until it has ended. */
const timed = (args: ReadonlyArray<string>): Promise<number> =>
  new Promise((resolve, reject) => {
    const from = performance.now()
    execFile(process.execPath, args, { env: withoutOurs(), timeout: 30_000 }, (error, _, said) => {
      if (error === null) resolve(performance.now() - from)
      else reject(new Error(`node ${args.join(" ")} failed: ${said}`))
    })
  })

const servers = async (): Promise<ReadonlyArray<Row>> => {
  const ours: Array<number> = []
  const bare: Array<number> = []
  for (let round = 0; round < serverRounds; round++) {
    const directory = temporaryDirectory()
    ours.push(await untilReady(() => startOurs(directory, []), "/health"))
    removeDirectory(directory)
    bare.push(await untilReady(startBare, "/nothing"))
  }
  return [{
    what: "server run on an empty directory: until it answers",
    ours: show(figure(ours), "ms", 0),
    baseline: show(figure(bare), "ms", 0),
    ratio: show(ratios(ours, bare), "×"),
    target: "",
    met: undefined
  }]
}

const untilReady = async (start: () => Promise<ServerProcess>, path: string): Promise<number> => {
  const from = performance.now()
  const server = await start()
  await get(server.port, path)
  const millis = performance.now() - from
  await server.stop()
  return millis
}

const opening = async (server: ServerProcess): Promise<ReadonlyArray<Row>> => {
  await post({ port: server.port, path: "/streams/one", body: `{"data":{"n":1}}`, connections: 1, requests: 1 })
  const long: Array<number> = []
  const short: Array<number> = []
  for (let round = -3; round < openRounds; round++) {
    const millis = [await wake(server.port, "million"), await wake(server.port, "one")] as const
    if (round < 0) continue
    long.push(millis[0])
    short.push(millis[1])
  }
  return [{
    what: "wake a log of a million events and read its last, against one of one",
    ours: show(figure(long), "ms", 2),
    baseline: show(figure(short), "ms", 2),
    ratio: show(ratios(long, short), "×", 2),
    target: "",
    met: undefined
  }]
}

/** Milliseconds for the last event of a stream that has fallen asleep. */
const wake = async (port: number, name: string): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 60))
  const from = performance.now()
  await get(port, `/streams/${name}/events?tail=1`)
  return performance.now() - from
}

const get = (port: number, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = http.get({ host: "127.0.0.1", port, path, agent: false, timeout: 20_000 }, (response) => {
      response.resume()
      response.on("end", resolve)
    })
    request.on("timeout", () => request.destroy(new Error(`${path} was not answered in 20 s.`)))
    request.on("error", reject)
  })
