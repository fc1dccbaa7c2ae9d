/**
 * `stream`: the commands that read streams and write to them.
 */
import { Command } from "effect/cli"
import { program } from "./flags/stream-flags.ts"
import { append } from "./stream/append.ts"
import { close } from "./stream/close.ts"
import { create } from "./stream/create.ts"
import { remove } from "./stream/delete.ts"
import { fork } from "./stream/fork.ts"
import { get } from "./stream/get.ts"
import { info } from "./stream/info.ts"
import { list } from "./stream/list.ts"
import { subscribe } from "./stream/subscribe.ts"

export const streamCommand = Command.make("stream").pipe(
  Command.withDescription("Append to streams, read and follow them"),
  Command.withExamples([{
    command: `${program} stream append -n hello -m "hello world"`,
    description: "A first event"
  }]),
  Command.withSubcommands([subscribe, get, append, create, info, close, fork, list, remove])
)
