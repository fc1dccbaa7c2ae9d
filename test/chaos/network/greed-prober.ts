/**
 * `node greed-prober.ts prober SERVER YARDSTICK`: clients with small requests, each on a connection of its own, that
 * measure how long they wait. They run in a process of their own, so that they do not wait for the attacker. They begin
 * on "begin", and report on "end".
 *
 * `node greed-prober.ts yardstick DIRECTORY`: the smallest server that answers: ten milliseconds of work and a flush.
 * If it is slow, the machine is slow.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as Path from "node:path"
import { ask, type Asking } from "../clients/ask.ts"

export interface Seen {
  /** The longest wait of each kind, in milliseconds. */
  readonly waits: {
    readonly health: number
    readonly append: number
    readonly read: number
    readonly yardstick: number
  }
  /** The number of answers. */
  readonly answers: number
  /** Answers that a client with such small requests must not get. */
  readonly refused: ReadonlyArray<string>
}

/** The pause between an answer and the next request. */
const pauseMillis = 5
const yardstickPauseMillis = 100

const workMillis = 10

const probe = (server: number, yardstick: number) => {
  let waits = { health: 0, append: 0, read: 0, yardstick: 0 }
  let answers = 0
  let refused: Array<string> = []
  const state = { over: true }
  let running: ReadonlyArray<Promise<void>> = []
  const agents = new Map<string, http.Agent>()
  const agentOf = (name: string) => {
    const agent = agents.get(name) ?? new http.Agent({ keepAlive: true, maxSockets: 1 })
    agents.set(name, agent)
    return agent
  }

  const measureAsk = async (
    what: keyof Seen["waits"],
    port: number,
    path: string,
    status: number,
    asking: Asking = {}
  ) => {
    const from = performance.now()
    const answer = await ask(port, path, { ...asking, agent: agentOf(what === "read" ? "append" : what) })
    waits[what] = Math.max(waits[what], performance.now() - from)
    answers++
    if (answer?.status !== status && refused.length < 5) {
      refused.push(`${what} was answered ${answer?.status} ${answer?.text.slice(0, 200)}`)
    }
  }

  const repeat = async (run: () => Promise<void>, pause: number) => {
    while (!state.over) {
      await run()
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }

  const begin = () => {
    waits = { health: 0, append: 0, read: 0, yardstick: 0 }
    answers = 0
    refused = []
    state.over = false
    running = [
      repeat(() => measureAsk("health", server, "/health", 200), pauseMillis),
      repeat(async () => {
        await measureAsk("append", server, "/streams/honest", 201, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: `{"data":1}`
        })
        await measureAsk("read", server, "/streams/honest/events?tail=1", 200)
      }, pauseMillis),
      repeat(() => measureAsk("yardstick", yardstick, "/", 200), yardstickPauseMillis)
    ]
  }

  process.on("message", (message) => {
    if (message === "begin") return begin()
    state.over = true
    void Promise.all(running).then(() => process.send!({ waits, answers, refused } satisfies Seen))
  })
  process.on("disconnect", () => process.exit(0))
}

const measure = (directory: string) => {
  const file = fs.openSync(Path.join(directory, "yardstick"), "w")
  const server = http.createServer((_, response) => {
    for (const until = performance.now() + workMillis; performance.now() < until;);
    fs.writeSync(file, "1\n")
    fs.fdatasync(file, () => response.end())
  })
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port))
  process.on("disconnect", () => process.exit(0))
}

if (import.meta.main) {
  const [, , kind, first, second] = process.argv
  if (kind === "yardstick") measure(first!)
  else probe(Number(first), Number(second))
}
