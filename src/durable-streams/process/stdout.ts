/**
 * The one place that writes to stdout. A write counts when all of it is taken; the first write that fails decides how the
 * command ends.
 */
import { Data, Effect } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"

/** Stdout could not be written to. */
export class OutputFailed extends Data.TaggedError("OutputFailed")<{ readonly cause: NodeJS.ErrnoException }> {
  /** The reader of the pipe has seen enough (`| head -1`): nothing went wrong. */
  get isReaderGone(): boolean {
    return this.cause.code === "EPIPE"
  }

  override get message() {
    const { code, message } = this.cause
    const reason = code === undefined ? message : `${reasons[code] ?? "the system refused it"} (${code})`
    return `Could not write the output: ${reason}. What reached stdout is not whole; what the command changed is kept.`
  }
}

const reasons: Readonly<Record<string, string>> = {
  EBADF: "stdout is not open for writing",
  EDQUOT: "the quota of the disk is used up",
  EFBIG: "the file may not grow further",
  EIO: "the disk failed",
  ENOSPC: "the disk is full"
}

let failure: OutputFailed | undefined

/**
 * Writes all of it and waits until it is taken, so that nothing piles up for a slow reader. Dies with `OutputFailed`: no
 * command goes on without its output, and no retry may take it for a failure of the server.
 */
export const writeOut = (data: string | Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) =>
    writeWith(data, (failed) => resume(failed === undefined ? Effect.void : Effect.die(failed)))
  )

/** Writes without waiting; `finishOut` waits for it. */
export const writeOutSoon = (data: string): void => writeWith(data, () => {})

/** Waits until everything is written and calls back, with the first failure if there was one. Nothing is written after. */
export const finishOut = (done: (failed: OutputFailed | undefined) => void): void => {
  if (!isOpened) return done(failure)
  if (isSocket()) return writeWith("", done)
  // A disk on the network may tell only now that it is full.
  fs.close(stdout, (error) => {
    if (error !== null && error !== undefined) failure ??= new OutputFailed({ cause: error })
    done(failure)
  })
}

/**
 * Ends when the reader of stdout leaves, also while nothing is written; never ends if stdout is no pipe, or if the
 * system does not tell.
 *
 * Node has no call that watches the writing end of a pipe: its sockets refuse to read from it. A TCP handle does not ask
 * what it was given, and its read fails (EBADF) as soon as the system reports that no process holds the other end, not before.
 * It watches a second descriptor of the same pipe, since the event loop knows each descriptor once.
 */
export const awaitReaderGone: Effect.Effect<void> = Effect.callback((resume) => {
  let socket: net.Socket | undefined
  try {
    if (!fs.fstatSync(stdout).isFIFO()) return
    const handle = makeTcpHandle()
    if (handle === undefined) return
    // Without O_NONBLOCK a named pipe without a reader keeps the process waiting for one.
    const { O_NONBLOCK, O_WRONLY } = fs.constants
    if (handle.open(fs.openSync(`/dev/fd/${stdout}`, O_WRONLY | O_NONBLOCK)) !== 0) return
    // Node's types know other handles for this option.
    socket = new net.Socket({ handle: handle as unknown as net.BoundSocket, readable: true, writable: false })
    socket.on("error", () => resume(Effect.void)).resume()
  } catch (cause) {
    // The pipe has no reader. After any other failure this system has no such watch, and the next write tells.
    if ((cause as NodeJS.ErrnoException).code === "ENXIO") resume(Effect.void)
  }
  return Effect.sync(() => socket?.destroy())
})

const stdout = 1

let isOpened = false

/** Pipes, sockets and terminals: the event loop writes all of it, and waits if need be. */
const isSocket = (): boolean => {
  if (!isOpened) {
    isOpened = true
    // Each write tells its own failure; without a listener Node would end the process.
    process.stdout.on("error", () => {})
  }
  return process.stdout instanceof net.Socket
}

const writeWith = (data: string | Uint8Array, done: (failed: OutputFailed | undefined) => void): void => {
  const finish = (error: Error | null | undefined) => {
    if (error !== null && error !== undefined) failure ??= new OutputFailed({ cause: error })
    done(failure)
  }
  if (isSocket()) return void process.stdout.write(data, finish)
  // Node's own stream for files reports a write as whole when the disk had room for half of it.
  let fault: Error | undefined
  try {
    for (let rest = typeof data === "string" ? Buffer.from(data) : data; rest.length > 0;) {
      rest = rest.subarray(fs.writeSync(stdout, rest))
    }
  } catch (error) {
    fault = error as Error
  }
  finish(fault)
}

interface TcpHandle {
  /** 0, or the number of an error. */
  open(descriptor: number): number
}

/** A bare TCP handle, made as a socket makes its own; undefined in a Node whose sockets look different inside. */
const makeTcpHandle = (): TcpHandle | undefined => {
  // It is destroyed before the event loop turns: no connection is tried.
  const socket = net.connect({ host: "127.0.0.1", port: 9, autoSelectFamily: false }).on("error", () => {})
  const { _handle: made } = socket as unknown as {
    readonly _handle?: { readonly constructor: new(type: 0) => TcpHandle }
  }
  socket.destroy()
  if (made?.constructor.name !== "TCP") return undefined
  return new made.constructor(0)
}
