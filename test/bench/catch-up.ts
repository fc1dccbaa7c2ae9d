/**
 * Catch-up: a million small events from a log file through Server-Sent Events, against reading the same file and
 * parsing and writing anew each of them.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import { post } from "./load.ts"
import { makeMillion, millionEvents } from "./million.ts"
import { type Bench, figure, ratios, type Row, show } from "./report.ts"
import { removeDirectory, type ServerProcess, startBare, startOurs, temporaryDirectory } from "./servers.ts"

const rounds = 5

/** Ours is short beside the clock ticks that processor time is counted in. */
const oursTimes = 5

export const catchUp: Bench = {
  name: "catch-up",
  about:
    `A log of ${
      millionEvents.toLocaleString("en")
    } small events, read whole, ${rounds} rounds (ours ${oursTimes} times in each). Ours goes over HTTP to ` +
    "a client that counts bytes. The baseline reads the same file in the same pieces and makes a Buffer of each event's " +
    "frame with JSON.parse and JSON.stringify: first that alone, without a network, then written to `node:http`. " +
    "Both sent the same bytes.",
  run: async () => {
    const directory = temporaryDirectory()
    const file = await makeMillion(directory)
    const server = await startOurs(directory, [])
    const bare = await startBare()

    // The whole of it once, to know that both say the same; it also warms both up.
    const replayPath = `/replay?file=${encodeURIComponent(file)}`
    const expected = await receive(bare.port, replayPath, Infinity, true)
    const got = await receive(server.port, followPath, expected.bytes, true)
    if (got.hash !== expected.hash) throw new Error("Ours and the baseline did not send the same bytes.")

    const ours = measured(server, oursTimes, () => receive(server.port, followPath, expected.bytes, false))
    const alone = measured(
      bare,
      1,
      () => post({ port: bare.port, path: "/reserialise", body: file, connections: 1, requests: 1 })
    )
    const served = measured(bare, 1, () => receive(bare.port, replayPath, Infinity, false))
    for (let round = 0; round < rounds; round++) {
      await ours.run()
      await alone.run()
      await served.run()
    }
    await Promise.all([server.stop(), bare.stop()])
    const mebibytes = fs.statSync(file).size / 2 ** 20
    removeDirectory(directory)

    const size = `${Math.round(mebibytes)} MiB of log`
    return [
      row(`catch-up, ${size}: server CPU against parsing and writing anew alone`, ours.cpu, alone.cpu, true),
      row("catch-up: wall time against parsing and writing anew alone", ours.millis, alone.millis, true),
      row("catch-up: server CPU against the same over HTTP", ours.cpu, served.cpu, false),
      row("catch-up: wall time against the same over HTTP", ours.millis, served.millis, false)
    ]
  }
}

const row = (what: string, ours: ReadonlyArray<number>, baseline: ReadonlyArray<number>, isTarget: boolean): Row => {
  const faster = ratios(baseline, ours)
  return {
    what,
    ours: show(figure(ours), "ms", 0),
    baseline: show(figure(baseline), "ms", 0),
    ratio: show(faster, "× faster"),
    target: isTarget ? "at least 10 × faster" : "",
    met: isTarget ? faster.median >= 10 : undefined
  }
}

const followPath = "/streams/million?offset=-1"

/** CPU and wall time of one, both in milliseconds, a value a round. */
const measured = (server: ServerProcess, times: number, work: () => Promise<unknown>) => {
  const cpu: Array<number> = []
  const millis: Array<number> = []
  return {
    run: async () => {
      const before = server.cpu()
      const from = performance.now()
      for (let i = 0; i < times; i++) await work()
      millis.push((performance.now() - from) / times)
      cpu.push((server.cpu() - before) / 1000 / times)
    },
    cpu,
    millis
  }
}

interface Received {
  readonly bytes: number
  readonly hash: string
}

/** Reads a body to its end, or to so many bytes of one that has no end, and counts them. */
const receive = (port: number, path: string, bytesWanted: number, hashed: boolean): Promise<Received> =>
  new Promise((resolve, reject) => {
    const hash = createHash("sha256")
    let bytes = 0
    const request = http.get({ host: "127.0.0.1", port, path, agent: false, timeout: 20_000 }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`${path} answered ${response.statusCode}.`))
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length
        if (hashed) hash.update(chunk)
        if (bytes > bytesWanted) {
          reject(new Error(`${path} sent ${bytes} bytes, more than the ${bytesWanted} expected.`))
        }
        if (bytes === bytesWanted) {
          resolve({ bytes, hash: hash.digest("hex") })
          request.destroy()
        }
      })
      response.on("end", () => resolve({ bytes, hash: hash.digest("hex") }))
    })
    request.on("timeout", () => request.destroy(new Error(`${path} was silent for 20 s.`)))
    request.on("error", reject)
  })
