/**
 * Conversations with the command line, kept as text files. Lines that begin with `$ ` are typed into a shell, in order,
 * in a folder of their own; the lines below are the answer: stdout, then stderr behind `! `, then the exit code if it
 * is not 0. Times, processes, ports and folders always have the same placeholder here. `vitest run test/e2e/transcripts
 * -u` accepts an intended change.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { describe, expect } from "vitest"
import { it, type Room } from "../../support/room.ts"

describe("the command line answers as the transcript says:", () => {
  for (const file of fs.readdirSync(import.meta.dirname).filter((name) => name.endsWith(".txt"))) {
    it(file, { timeout: 60_000 }, async ({ room }) => {
      const path = Path.join(import.meta.dirname, file)
      const said: Array<string> = []
      for (const line of fs.readFileSync(path, "utf8").split("\n")) {
        const isComment = line.startsWith("# ")
        if (!isComment && !line.startsWith("$ ")) continue
        if (!said.at(-1)?.startsWith("# ")) said.push("")
        said.push(line, ...(isComment ? [] : await answer(room, line.slice(2))))
      }
      await expect(`${said.join("\n").trim()}\n`).toMatchFileSnapshot(path)
    })
  }
})

const answer = async (room: Room, line: string): Promise<ReadonlyArray<string>> => {
  const { code, stderr, stdout } = await room.sh(line).ended
  const lines = (text: string) => text === "" ? [] : normal(text, room).replace(/\n$/, "").split("\n")
  return [
    // Many lines of help look like comments.
    ...lines(stdout).map((line) => line.startsWith("# ") ? ` ${line}` : line),
    ...lines(stderr).map((line) => `! ${line}`),
    ...(code === 0 ? [] : [`[exit ${code}]`])
  ]
}

const normal = (text: string, room: Room): string =>
  text
    .replaceAll(room.directory, "/home/ada/project")
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "2026-01-08T09:00:00.000Z")
    .replaceAll(/(?<= {2})\d\d:\d\d:\d\d(?= {2})/g, "09:00:00")
    .replaceAll(/\d{4}-\d\d-\d\d(?= UTC)/g, "2026-01-08")
    .replaceAll(/(?<=pid )\d+|(?<="pid":)\d+/g, "4711")
    .replaceAll(/(?<=127\.0\.0\.1:)\d{4,5}|(?<="port":)\d+|(?<=port )\d{4,5}/g, "3000")
    .replaceAll(/(?<=up )\d+(?=s)|(?<="uptimeSeconds":)\d+/g, "0")
    // The first number depends on the machine's limit of files; the next line depends on its user.
    .replaceAll(/(?<="(?:connections|awake)Max":)\d+/g, "16384")
    .replaceAll(/(?<="(?:connections|awakeStreams)":)\d+/g, "1")
    .replaceAll(/[ \t]+(?=\n)/g, "")
