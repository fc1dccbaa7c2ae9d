/**
 * Troubles of a process: files run out, it may not use its directory, its clock jumps, it stands still, no reader takes
 * its logs.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as Path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { isRoot, missing } from "../../support/machine.ts"
import type { StartOptions } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { protocolDoor, protocolPath } from "../clients/doors.ts"
import { Workers } from "../clients/workers.ts"
import { recoveryMillis } from "../harness/trial.ts"
import type { Case } from "./io.ts"

const filesMax = 128
const connectionsAtOnce = 300
const streamsAtOnce = 200

/**
 * More connections than files. An earlier client goes on, with every stream. Of the new connections some are accepted,
 * some are told that there are too many, and the others are cut off. When they are gone, everything works.
 */
export const fewFiles: Case = async ({ trial }) => {
  const lacking = missing("prlimit")
  if (lacking !== undefined) return lacking
  const { server } = trial
  await server.start({ wrapper: ["prlimit", `--nofile=${filesMax}:${filesMax}`] })
  const streams = Array.from({ length: streamsAtOnce }, (_, i) => `s-${i}`)
  // A new connection during the flood could be one of the refused ones.
  const kept = new http.Agent({ keepAlive: true, maxSockets: 1 })
  for (const stream of streams) {
    const status = await trial.append(stream, 0, kept)
    trial.expect(status === 201, `with files left, an append was answered with ${status}`)
  }
  const sockets = Array.from({ length: connectionsAtOnce }, () => net.connect(server.port, "127.0.0.1"))
  for (const socket of sockets) socket.on("error", () => {}).resume()
  await sleep(300)
  // The log of the last stream is open, those of the first are not.
  for (const stream of [...streams.slice(-1), ...streams.slice(0, 50), "made now"]) {
    const status = await trial.append(stream, 0, kept)
    trial.expect(status === 201, `an append of an earlier client to ${stream} was answered with ${status}`)
  }
  const late = await Promise.all(streams.slice(0, 50).map((stream) => trial.append(stream, 0, new http.Agent())))
  const strange = late.filter((status) => status !== 0 && status !== 503)
  trial.expect(strange.length === 0, `appends after the flood were answered with ${[...new Set(strange)].join(", ")}`)
  const held = sockets.filter(({ destroyed }) => !destroyed)
  const told = await Promise.all(held.map((socket) => readOver(socket, streams.at(-1)!)))
  const areBoth = told.includes(200) && told.includes(503) && told.every((status) => status === 200 || status === 503)
  trial.expect(
    areBoth,
    `reads on connections of the flood that were not cut off were answered with ${[...new Set(told)].join(", ")}`
  )
  trial.expect(server.isRunning, "the server has ended")
  for (const socket of sockets) socket.destroy()
  kept.destroy()
  const from = performance.now()
  for (const stream of streams.slice(0, 100)) {
    while (await trial.append(stream) !== 201 && performance.now() < from + 10_000) await sleep(20)
  }
  const took = Math.round(performance.now() - from)
  trial.expect(took <= recoveryMillis, `it took ${took} ms until a hundred streams took appends again`)
  // The final check reads everything at once, over more connections than there are files.
  await server.kill()
  await server.start()
  await trial.finish()
  return undefined
}

/** Reads over an open connection, and returns the status of the answer; 0 if there is none. */
const readOver = (socket: net.Socket, stream: string): Promise<number> =>
  new Promise((resolve) => {
    socket.on("data", (chunk) => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(chunk.toString())?.[1])))
    socket.on("close", () => resolve(0))
    socket.setTimeout(10_000, () => socket.destroy())
    socket.write(`GET /streams/${stream}/events?tail=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
  })

/**
 * Another user's directory, a file, a link to nowhere: the server says one sentence, ends with code 1, and leaves
 * nothing behind.
 */
export const wrongUser: Case = async ({ trial }) => {
  const lacking = missing("setpriv")
  if (!isRoot || lacking !== undefined) return lacking ?? "needs another user, whom only root can be"
  const { server } = trial
  const above = Path.dirname(server.directory)
  for (const [kind, make] of Object.entries(unusable)) {
    fs.rmSync(server.directory, { recursive: true, force: true })
    make(server.directory)
    const before = fs.readdirSync(above)
    const from = performance.now()
    server.launch({ wrapper: ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] })
    const code = await server.ended()
    const took = Math.round(performance.now() - from)
    const said = server.log.trimEnd().split("\n").at(-1) ?? ""
    trial.expect(code === 1, `${kind}: it ended with ${code}`)
    trial.expect(/^Could not [^\n]+[.?]$/.test(said), `${kind}: it said ${said}`)
    trial.expect(took < 10_000, `${kind}: it took ${took} ms`)
    const left = fs.readdirSync(above).filter((name) => !before.includes(name) && !/^server\.\d+\.log$/.test(name))
    trial.expect(left.length === 0, `${kind}: it left ${left.join(", ")}`)
  }
  await trial.end()
  return undefined
}

const unusable: Readonly<Record<string, (path: string) => void>> = {
  "another user's": (path) => fs.mkdirSync(path, { mode: 0o755 }),
  "a file": (path) => fs.writeFileSync(path, ""),
  "a link to nowhere": (path) => fs.symlinkSync("/nowhere/at/all", path),
  "nothing": () => {}
}

/** Long enough for all requests that are sent while a lease runs. */
const leaseMillis = 3_000

const jumps = ["-1h", "+1h", "-1d", "+10y", "@1970-01-02 00:00:00", "+0"]

/** How long a long-poll waits, and how late it may be on a busy machine: the jumps are an hour and more. */
const pollMillis = 1_000
const pollLateMillis = 5_000

/** The wall clock jumps; the clock that measures intervals does not. */
export const clockJumps: Case = async ({ trial }) => {
  const library = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
    .map((directory) => Path.join(directory, "faketime/libfaketime.so.1")).find((path) => fs.existsSync(path))
  if (library === undefined) return "needs libfaketime"
  const { server } = trial
  const file = `${server.directory}.clock`
  fs.writeFileSync(file, "+0")
  const start: StartOptions = {
    flags: [`--long-poll-timeout=${pollMillis}ms`],
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      FAKETIME_NO_CACHE: "1"
    }
  }
  await server.start(start)
  await protocolDoor.create(server.port, "quiet")
  await trial.append("a")
  trial.follow("a")
  const years = new Set<string>()
  const workers = new Workers(server.port, leaseMillis)
  await workers.subscribe("a")
  for (const jump of jumps) {
    await trial.append("a")
    const from = performance.now()
    trial.expect(await workers.claim("one") === 200, `before a jump to ${jump} there is no work`)
    const poll = ask(server.port, `${protocolPath("quiet")}?live=long-poll&offset=now`)
    await sleep(100)
    fs.writeFileSync(file, jump)
    for (let turn = 0; turn < 20; turn++) {
      const asked = performance.now()
      const status = await trial.append(turn % 2 === 0 ? "a" : `b${turn}`)
      const took = Math.round(performance.now() - asked)
      trial.expect(status === 201, `after a jump to ${jump} an append was answered with ${status}`)
      trial.expect(took < 1_000, `after a jump to ${jump} an append took ${took} ms`)
    }
    const status = (await poll)?.status
    const late = Math.round(performance.now() - from - pollMillis)
    trial.expect(status === 204, `a long-poll across a jump to ${jump} was answered with ${status}`)
    trial.expect(late > -100 && late < pollLateMillis, `a long-poll across a jump to ${jump} was ${late} ms late`)
    trial.expect(
      await workers.claim("other") === 409 || performance.now() - from > leaseMillis,
      `a jump to ${jump} has ended a lease`
    )
    const over = from + leaseMillis + pollLateMillis
    while (await workers.claim("other") !== 200 && performance.now() < over) await sleep(50)
    const ended = Math.round(performance.now() - from)
    trial.expect(ended >= leaseMillis, `across a jump to ${jump} a lease of ${leaseMillis} ms ended after ${ended}`)
    trial.expect(performance.now() < over, `across a jump to ${jump} a lease does not end`)
    await workers.release()
    const last = await ask(server.port, "/streams/a/events?tail=1")
    years.add(/"createdAt":"(\d{4})/.exec(last?.text ?? "")?.[1] ?? "")
  }
  trial.expect(years.size >= 3, `the clock has not jumped: ${[...years].join(", ")}`)
  await server.kill()
  // The next server reads the log, whatever the clock said when it was written.
  await server.start()
  await trial.finish()
  return undefined
}

/**
 * The fifth round is longer than a keep-alive, a lease and a request's time; the others test whether a standstill does
 * any harm at all.
 */
const standstillMillis = [2_000, 2_000, 2_000, 2_000, 40_000]

export const standstill: Case = async ({ random, round, trial }) => {
  const { server } = trial
  await server.start()
  await trial.append("a")
  trial.follow("a")
  const millis = standstillMillis[round % standstillMillis.length]!
  const clients = trial.load(["a", "b", "c"], random, 800)
  await sleep(300)
  server.signal("SIGSTOP")
  await sleep(millis)
  server.signal("SIGCONT")
  await clients
  const from = performance.now()
  trial.expect(await trial.append("a") === 201, "after a standstill the server takes no appends")
  const took = Math.round(performance.now() - from)
  trial.expect(took < 2_000, `after a standstill an append took ${took} ms`)
  await trial.finish()
  return undefined
}

/** More lines than a pipe and the server's own memory for them hold. */
const refusals = 8_000
const refusalsAtOnce = 32

/** A little more than the log may grow to. */
const fileBytesMax = 50_000

/**
 * A pipe whose reader does not read, and a server that logs a lot: no request waits for the log, and the server drops
 * the lines.
 */
export const fullPipe: Case = async ({ trial }) => {
  const lacking = missing("bash", "prlimit", "mkfifo")
  if (lacking !== undefined) return lacking
  const { server } = trial
  const pipe = `${server.directory}.pipe`
  execFileSync("mkfifo", [pipe])
  // Open for reading, too, like the reader's end; no process reads.
  const wrapper = ["prlimit", `--fsize=${fileBytesMax}:unlimited`, "bash", "-c", `exec "$@" 2<>'${pipe}'`, "bash"]
  await server.start({ wrapper })
  while (await trial.append("a", 1_000) === 201);
  const agent = new http.Agent({ keepAlive: true, maxSockets: refusalsAtOnce })
  let left = refusals
  const client = async () => {
    while (left-- > 0) {
      const body = `{"data":"${"x".repeat(2_000)}"}`
      const headers = { "content-type": "application/json" }
      const answer = await ask(server.port, "/streams/a", { method: "POST", headers, body, agent })
      trial.expect(answer?.status === 507, `beyond the limit it is answered with ${answer?.status}`)
    }
  }
  await Promise.all(Array.from({ length: refusalsAtOnce }, client))
  agent.destroy()
  trial.expect(await trial.append("b") === 201, "while no reader takes its log it takes no appends")
  const reader = fs.createReadStream(pipe, { encoding: "utf8" })
  let said = ""
  reader.on("data", (text) => said += text)
  const until = performance.now() + 5_000
  while (!/were dropped.* count=\d+\n/.test(said) && performance.now() < until) {
    await trial.append("a", 2_000)
    await sleep(20)
  }
  trial.expect(/were dropped/.test(said), `${refusals} lines were kept in memory for a reader: ${said.length} bytes`)
  server.signal("SIGTERM")
  const code = await server.ended()
  trial.expect(code === 0, `while no reader takes its log it ended with ${code}`)
  await server.start()
  await trial.finish()
  return undefined
}

/**
 * No reader takes the log: closed, a full disk, a pipe whose reader has left. The server has to warn of a torn commit.
 */
export const deafLogs: Case = async ({ trial }) => {
  const lacking = missing("bash")
  if (lacking !== undefined) return lacking
  const { server } = trial
  for (const where of [">&- 2>&-", ">/dev/full 2>&1", "> >(true) 2>&1"]) {
    await server.start({ wrapper: ["bash", "-c", `exec "$@" ${where}`, "bash"] })
    trial.expect(await trial.append("a") === 201, `with ${where} it takes no appends`)
    server.signal("SIGTERM")
    const code = await server.ended()
    trial.expect(code === 0, `with ${where} it ended with ${code}`)
    fs.appendFileSync(Path.join(server.directory, "streams/a.json"), `{"offset":"torn`)
  }
  await server.start()
  await trial.finish()
  return undefined
}
