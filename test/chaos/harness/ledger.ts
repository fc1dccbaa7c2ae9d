/**
 * The operations and observations of clients, and the final contents of the logs: the input of the checks. Every event
 * carries a unique key.
 */
import * as fs from "node:fs"

/**
 * Refused: the server answered, and the operation must have no effect. Unknown: cut off, timed out or 5xx; it happened
 * once or not at all.
 */
export type Result = "ok" | "refused" | "unknown"

interface Common {
  readonly client: string
  readonly stream: string
  /**
   * Milliseconds of one clock: the time of the request and of the answer. An unknown operation may still happen later.
   */
  readonly invoke: number
  readonly complete: number
  readonly outcome: Result
  readonly status: number
}

export interface Append extends Common {
  readonly op: "append"
  readonly keys: ReadonlyArray<string>
  /** The offset of the first event, if it is known. */
  readonly offset?: number | undefined
  readonly producer?: { readonly id: string; readonly epoch: number; readonly seq: number } | undefined
  /** The server answered that the event had been appended before. */
  readonly repeated?: boolean | undefined
  readonly ifMatch?: number | undefined
  readonly closes?: boolean | undefined
}

export interface Read extends Common {
  readonly op: "read"
  /** At most the tail, as far as the reader knew it. */
  readonly from: number
  /** The keys from there to the tail. */
  readonly keys: ReadonlyArray<string>
}

interface Close extends Common {
  readonly op: "close"
}

interface Delete extends Common {
  readonly op: "delete"
}

export type Operation = Append | Read | Close | Delete

/** One follower, through all its connections. */
export interface Follow {
  readonly client: string
  readonly stream: string
  readonly from: number
  readonly seen: ReadonlyArray<{ readonly offset: number; readonly key: string }>
}

/** The final contents of a stream. */
export interface Final {
  readonly stream: string
  readonly exists: boolean
  readonly closed: boolean
  readonly events: ReadonlyArray<{ readonly offset: number; readonly key: string }>
}

export interface History {
  readonly operations: ReadonlyArray<Operation>
  readonly follows: ReadonlyArray<Follow>
  readonly finals: ReadonlyArray<Final>
  /** The server was in a trouble in which it may refuse appends. */
  readonly troubled?: boolean
}

/** One clock for all clients, which are in one process. */
export const now = (): number => performance.now()

/** Collects operations, and writes a line for each to a file. */
export class Ledger {
  readonly operations: Array<Operation> = []
  readonly #file: number

  constructor(path: string) {
    this.#file = fs.openSync(path, "a")
  }

  add(operation: Operation): void {
    this.operations.push(operation)
    fs.writeSync(this.#file, `${JSON.stringify({ id: this.operations.length - 1, ...operation })}\n`)
  }

  count(outcome: Result): number {
    return this.operations.filter((operation) => operation.op === "append" && operation.outcome === outcome).length
  }

  close(): void {
    fs.closeSync(this.#file)
  }
}
