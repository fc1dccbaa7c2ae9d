/**
 * The first signal that asks the process to end. A server waits for it and closes in order; any other command is
 * interrupted by it.
 */
import { Context, type Effect } from "effect"

export class Shutdown extends Context.Service<Shutdown, {
  /** Waits for the signal and returns its name. A command that waits for it is not interrupted. */
  readonly signalled: Effect.Effect<string>
}>()("durable-streams/cli/shutdown") {}
