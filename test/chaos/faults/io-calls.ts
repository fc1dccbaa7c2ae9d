/**
 * System calls that fail or take long, injected by strace(1).
 */
import * as fs from "node:fs"
import { missing, strace } from "../../support/machine.ts"
import { ask } from "../clients/ask.ts"
import { LoopDisk } from "../crashes/loop-disk.ts"
import type { Case } from "./io.ts"

/** strace counts the calls of each thread separately. With one flushing thread, it is known which flush fails. */
const oneThread = { UV_THREADPOOL_SIZE: "1" }

const injectFailure = (calls: string, what: string, out = "/dev/null") =>
  strace(out, "-e", `trace=${calls}`, "-e", `inject=${calls}:${what}`)

/**
 * The highest n of the n-th flush that fails. Each n has a process of its own, over all rounds.
 */
const nthAtMost = 20
const nthEachRound = 4

/**
 * The n-th flush fails. In every second process some of the flushes after it fail, too: not every other one, because
 * then each repair would only be followed by the next failure. If the machine has a disk whose power can be cut, it is
 * cut: an append that was acknowledged without a successful flush is then lost. No append may wait because of a flush
 * that is the only one to fail; if more fail, some append must be told.
 */
export const failedFlush: Case = async ({ random, round, trial }) => {
  const lacking = missing("strace")
  if (lacking !== undefined) return lacking
  const { server } = trial
  const made = await LoopDisk.make(`${server.directory}.img`, server.directory)
  const disk = typeof made === "string" ? undefined : made
  if (typeof made === "string") trial.left.push(`the power was not cut, which ${made}`)
  const inside = disk?.space.wrapper ?? []
  const streams = ["a", "b", "c", "d"]
  const trace = `${server.directory}.strace`
  try {
    for (let i = 0; i < nthEachRound; i++) {
      const nth = 1 + (round * nthEachRound + i) % nthAtMost
      const many = i % 2 === 1
      const when = many ? `${nth}+${random.between(4, 7)}` : `${nth}`
      const before = trial.ledger.operations.length
      const failing = injectFailure("fdatasync", `error=EIO:when=${when}`, trace)
      await server.start({ env: oneThread, wrapper: [...inside, ...failing] })
      if (i === 0) { for (const stream of streams.slice(0, 2)) trial.follow(stream) }
      const clients = trial.load(streams, random, 250)
      await clients
      const statuses: Array<number> = []
      for (let turn = 0; turn < 12; turn++) statuses.push(await trial.append("a"))
      trial.expect(statuses.every((status) => status === 201 || status === 500), `answered with ${statuses.join(", ")}`)
      trial.expect(statuses.includes(201), `after a flush failed (${when}) the server takes no appends`)
      // If more flushes fail, one of them may be a flush of the health probe.
      await trial.health(...(many ? ["ok", "failing"] as const : ["ok"] as const))
      trial.expect(fs.readFileSync(trace, "utf8").includes("(INJECTED)"), `no flush has failed (${when})`)
      const told = trial.ledger.operations.slice(before).some(({ op, status }) => op === "append" && status === 500)
      trial.expect(told || !many, `no append was told that its flush failed (${when})`)
      disk?.cut()
      await server.kill()
      disk?.unmount()
      disk?.mount()
    }
    await server.start({ wrapper: inside })
    await trial.finish((path) => disk === undefined ? path : disk.space.outside(path))
  } finally {
    await server.kill()
    disk?.close()
  }
  return undefined
}

/** Every few reads fail: the reader is told, and no event is skipped. */
export const failedRead: Case = async ({ random, trial }) => {
  const lacking = missing("strace")
  if (lacking !== undefined) return lacking
  const { server } = trial
  await server.start()
  await trial.load(["a", "b"], random, 400)
  const whole = await trial.count("a")
  await server.kill()
  const every = random.between(3, 6)
  await server.start({ env: oneThread, wrapper: injectFailure("pread64", `error=EIO:when=${every}+${every}`) })
  trial.follow("a")
  let told = 0
  for (let turn = 0; turn < 20; turn++) {
    const stream = turn % 2 === 0 ? "a" : "b"
    const answer = await ask(server.port, `/streams/${stream}/events?offset=-1`, {
      headers: { accept: "application/x-ndjson" }
    })
    if (answer === undefined || answer.status === 500) {
      told++
      continue
    }
    const count = answer.text.split("\n").length - 1
    const isWhole = answer.status === 200 && (stream === "b" || count === whole)
    trial.expect(isWhole, `a read was answered with ${answer.status} and ${count} events of ${whole}`)
  }
  trial.expect(told > 0, "no read has failed")
  await server.kill()
  await server.start()
  await trial.finish()
  return undefined
}

/** The delay of a flush, and the limits: reads must not wait, and appends must share flushes. */
const slowMillis = 200
const readMillisP90 = 50
const appendsEachSecond = 50

export const slowFlush: Case = async ({ trial }) => {
  const lacking = missing("strace")
  if (lacking !== undefined) return lacking
  const { server } = trial
  await server.start({ wrapper: injectFailure("fdatasync", `delay_enter=${slowMillis * 1_000}`) })
  await trial.append("a")
  const alone = performance.now()
  await trial.append("a")
  const from = performance.now()
  trial.expect(from - alone >= slowMillis, `alone, an append took ${Math.round(from - alone)} ms: flushes are not slow`)
  const until = from + 3_000
  const clients = Array.from({ length: 64 }, async () => {
    while (performance.now() < until) await trial.append("a")
  })
  const looks: Array<number> = []
  while (performance.now() < until) {
    const asked = performance.now()
    await ask(server.port, looks.length % 2 === 0 ? "/health" : "/streams/a/events?tail=1")
    looks.push(performance.now() - asked)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await Promise.all(clients)
  const p90 = looks.toSorted((one, other) => one - other)[Math.floor(looks.length * 0.9)]!
  trial.expect(p90 <= readMillisP90, `while flushes are slow, one read in ten takes ${Math.round(p90)} ms`)
  const rate = trial.acknowledged("a") / (performance.now() - from) * 1_000
  trial.expect(rate >= appendsEachSecond, `${Math.round(rate)} appends a second, so appends do not share flushes`)
  await trial.finish()
  return undefined
}
