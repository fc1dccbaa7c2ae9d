/**
 * Two proofs that no client is told of an event before it is on the disk (promise 2), without any crash.
 *
 * First: if every flush takes a second longer, every change takes as long, and no read waits; with `--durability os`,
 * changes do not wait either. Second: in a trace of the system calls of two thousand appends over 64 connections, each
 * event's answer, and each follower's copy of it, come after a flush that began when the event was written. The same
 * check must find violations in the trace of a server that does not flush; otherwise the proof is worthless.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import * as Path from "node:path"
import { missing, strace } from "../../support/machine.ts"
import { ServerProcess } from "../../support/server-process.ts"
import { ask } from "../clients/ask.ts"
import { nativeDoor, protocolDoor, protocolPath } from "../clients/doors.ts"
import { Follower } from "../clients/follower.ts"
import type { Context, Suite } from "../harness/suite.ts"
import { orderOf } from "./trace-order.ts"

/** The delay of every flush: far more than any other work takes, even on a busy machine. */
const delayMillis = 1_000

/** Half of that: a request that took longer has waited for a flush. */
const waitedMillis = 500

/** One read in ten may take longer because of the machine. */
const lateShareMax = 0.1

const connectionsAtOnce = 64
const appendsEach = 1_000
/** The number of appends in a short form: strace makes each of them expensive. */
const appendsBriefly = 300

export const flush: Suite = {
  name: "flush",
  about: "no client is told of an unflushed event: with slow flushes, and in the order of system calls",
  rounds: 3,
  run: async (context) => {
    const lacking = missing("strace")
    if (lacking !== undefined) return { skipped: lacking }
    const proof = new Proof()
    for (let round = 0; round < context.rounds; round++) {
      for (const durability of ["fsync", "os"] as const) await slow(context, durability, proof, round)
      await traceAppends(context, "fsync", proof, round)
      context.say(`${round + 1} rounds, ${proof.told} told, ${proof.violations.length} violations`)
    }
    await traceAppends(context, "os", proof, context.rounds)
    const { changes, control, flushes, looks, told, violations } = proof
    return { counts: { changes, looks, told, flushes, control }, violations }
  }
}

class Proof {
  /** Changes and reads while flushes were slow. */
  changes = 0
  looks = 0
  /** Answers and deliveries of events, and flushes, in the traces. */
  told = 0
  flushes = 0
  /** Violations found in the trace of a server that does not flush. */
  control = 0
  readonly violations: Array<string> = []
}

const slow = async ({ directory }: Context, durability: "fsync" | "os", proof: Proof, round: number): Promise<void> => {
  const server = await ServerProcess.make(Path.join(directory, `slow-${durability}-${round}`))
  const inject = `inject=fdatasync,fsync:delay_enter=${delayMillis * 1_000}`
  const slowly = strace("/dev/null", "-e", "trace=fdatasync,fsync", "-e", inject)
  await server.start({ flags: [`--durability=${durability}`], wrapper: slowly })
  const { port } = server
  const waits = (what: string, millis: number) => {
    proof.changes++
    const isRight = durability === "fsync" ? millis >= delayMillis : millis < delayMillis
    if (!isRight) proof.violations.push(`P2 ${durability}: ${what} took ${Math.round(millis)} ms`)
  }
  const change = async (what: string, act: () => Promise<{ readonly outcome: string } | string>) => {
    const from = performance.now()
    const did = await act()
    waits(what, performance.now() - from)
    const outcome = typeof did === "string" ? did : did.outcome
    if (outcome !== "ok") proof.violations.push(`P2 ${durability}: ${what} was answered with ${outcome}`)
  }
  const append = (stream: string, key: string) => nativeDoor.append(port, stream, { keys: [key] })

  await change("making a stream", () => protocolDoor.create(port, "a"))
  await change("making a stream by an append", () => append("b", "b/0"))
  const follower = new Follower("f", port, "b")
  if (!(await follower.hasSeen(1, 5_000))) proof.violations.push(`C13 ${durability}: a follower has seen nothing`)
  const from = performance.now()
  const appended = change("an append", () => append("b", "b/1"))
  const seen = follower.hasSeen(2, 5_000).then((isThere) => {
    waits("a follower's event", performance.now() - from)
    if (!isThere) proof.violations.push(`C13 ${durability}: a follower has not seen the second event`)
  })
  const looks = await timeReads(port)
  await Promise.all([appended, seen])
  follower.stop()
  proof.looks += looks.length
  const late = looks.filter((millis) => millis >= waitedMillis)
  if (late.length > looks.length * lateShareMax) {
    proof.violations.push(`P2 ${durability}: ${late.length} of ${looks.length} reads took ${Math.round(late[0]!)} ms`)
  }
  await change("an append through the protocol", () => protocolDoor.append(port, "a", { keys: ["a/0", "a/1"] }))
  // The journal flushes this many logs at once, as soon as it exists.
  for (let turn = 0; turn < 2; turn++) {
    await Promise.all(
      Array.from(
        { length: 12 },
        (_, i) => change("one of many appends at once", () => append(`many-${i}`, `many-${i}/${turn}`))
      )
    )
  }
  await change("closing", () => protocolDoor.close(port, "a"))
  await change("deleting", () => protocolDoor.delete(port, "b"))
  await server.kill()
}

/** Measures reads while a flush is under way. */
const timeReads = async (port: number): Promise<ReadonlyArray<number>> => {
  const looks: Array<number> = []
  const ways = [
    ["GET", "/streams/b/events?offset=-1"],
    ["HEAD", protocolPath("b")],
    ["GET", `${protocolPath("b")}?offset=-1`],
    ["GET", "/health"],
    ["GET", "/streams"]
  ] as const
  for (const [method, path] of [...ways, ...ways]) {
    const from = performance.now()
    await ask(port, path, { method })
    looks.push(performance.now() - from)
  }
  return looks
}

const streamsOf = (count: number) => Array.from({ length: count }, (_, i) => `of-${count}-${i}`)

const traceAppends = async (
  { directory, options }: Context,
  durability: "fsync" | "os",
  proof: Proof,
  round: number
): Promise<void> => {
  const server = await ServerProcess.make(Path.join(directory, `trace-${durability}-${round}`))
  const appends = options.brief ? appendsBriefly : appendsEach
  const file = Path.join(directory, `trace-${durability}-${round}.txt`)
  await server.start({
    flags: [`--durability=${durability}`],
    wrapper: strace(file, "-s", "10000000", "-e", "trace=pwrite64,pwritev,fdatasync,fsync,write,writev,sendto,sendmsg")
  })
  const agent = new http.Agent({ keepAlive: true, maxSockets: connectionsAtOnce })
  let answered = 0
  // Few streams flush their own files, many share the journal.
  const followers = [1, 32].flatMap((count) => streamsOf(count).slice(0, 2)).map((stream) =>
    new Follower(stream, server.port, stream)
  )
  for (const count of [1, 32]) {
    const streams = streamsOf(count)
    let left = appends
    await Promise.all(Array.from({ length: connectionsAtOnce }, async () => {
      while (left > 0) {
        const number = left--
        const { outcome } = await nativeDoor.append(
          server.port,
          streams[number % count]!,
          { keys: [`${count}/${number}`] },
          agent
        )
        if (outcome === "ok") answered++
      }
    }))
  }
  await followers[0]!.hasSeen(appends, 5_000)
  for (const follower of followers) follower.stop()
  agent.destroy()
  server.signal("SIGTERM")
  await server.ended()
  // strace writes its last lines after the server is gone.
  await new Promise((resolve) => setTimeout(resolve, 200))
  const { early, flushes, told } = orderOf(fs.readFileSync(file, "utf8"))
  if (told < 2 * appends || answered < 2 * appends) {
    proof.violations.push(`the trace of ${durability} shows ${told} deliveries, and ${answered} appends were answered`)
  }
  if (durability === "os") {
    proof.control = early.length
    if (early.length < told) {
      proof.violations.push(`without flushes the check found ${early.length} of ${told} early deliveries`)
    }
    return
  }
  proof.told += told
  proof.flushes += flushes
  for (const key of early) proof.violations.push(`P2 a client was told of ${key} before it was flushed`)
  if (early.length === 0) fs.rmSync(file)
}
