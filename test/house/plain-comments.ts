/**
 * Comments name the actor: the writer, the reader, the client, the server, the disk. A clause whose subject is what, who,
 * whoever, nobody or somebody hides it, and has to be read twice. This finds such clauses by the word that they begin with.
 */
import { parseSync } from "rolldown/utils"
import type { File } from "./floors.ts"

/** A sentence for each clause in a comment of the file that does not name its actor. */
export const riddles = (file: File): ReadonlyArray<string> =>
  commentsOf(file).flatMap(({ prose, start, text }) =>
    [...prose.matchAll(hiddenActor)].flatMap(({ 0: word, index }) => {
      const before = prose.slice(0, index)
      const after = prose.slice(index)
      if (!beginsClause(word.toLowerCase(), before, after)) return []
      const line = file.text.slice(0, start + index).split("\n").length
      const clause = quote(text.slice(index, index + clauseLength(after)))
      return [`${file.path}:${line} says "${clause}": name the actor, such as the reader or the server.`]
    })
  )

const hiddenActor = /(?<![-\w])(?:what|who|whoever|nobody|somebody)(?![-\w])/gi

/**
 * Whether the word is the subject of a clause, as far as the words around it tell. It is not after a verb or a preposition
 * (`says what it is for`), nor when it is a relative pronoun (`a client who`, `the client, who`).
 */
const beginsClause = (word: string, before: string, after: string): boolean => {
  if (/^wh(?:at|o)\s+to\b/i.test(after)) return false
  if (sentenceBegins.test(before)) return true
  if (subordinates.test(before)) return true
  if (word === "who") return coordinates.test(before) && !/\bwho\b/i.test(sentenceOf(before))
  if (!coordinates.test(before) && !/,\s*$/.test(before)) return false
  // One more of several indirect questions, as in `says how it is used and what it costs`.
  return word !== "what" || !/\b(?:how|why|whether|what)\b/i.test(sentenceOf(before))
}

/** Nothing, the end of a sentence or of its half, a parenthesis, an empty line, or the mark of an item. */
const sentenceBegins = /(?:^|\(|[.!?;:]["')]*\s|\n[ \t]*\n|\n[ \t]*-)\s*$/

const subordinates = /\b(?:so|that|if|when|where|because|while|unless|until)\s+$/i

const coordinates = /\b(?:and|but|or)\s+$/i

/** The sentence of which `before` is the beginning. */
const sentenceOf = (before: string): string => before.split(/[.!?;]["')]*\s|\n[ \t]*\n/).at(-1)!

const clauseLength = (after: string): number => {
  const end = after.search(/[.!?;:)](?:\s|$)|\n[ \t]*\n/)
  return end < 0 ? after.length : end
}

const quotedMax = 60

const quote = (clause: string): string => {
  const line = clause.replace(/\s+/g, " ").trim()
  return line.length > quotedMax ? `${line.slice(0, quotedMax).trimEnd()}…` : line
}

interface Comment {
  readonly start: number
  /** As long as in the file, with spaces for the marks of the comment. */
  readonly text: string
  /** The same with an x for each letter of code and of quotations. */
  readonly prose: string
}

/** The comments of a file. Lines of `//` that follow one another are one comment. */
const commentsOf = ({ path, text }: File): ReadonlyArray<Comment> => {
  const spans: Array<{ readonly start: number; end: number; readonly isLine: boolean }> = []
  for (const { end, start, type } of parseSync(path, text).comments) {
    const last = spans.at(-1)
    const isLine = type === "Line"
    if (isLine && last?.isLine === true && /^\n[ \t]*$/.test(text.slice(last.end, start))) last.end = end
    else spans.push({ start, end, isLine })
  }
  return spans.map(({ end, start }) => {
    const comment = text.slice(start, end)
      .replace(/^[ \t]*(?:\/\/|\/?\*+(?!\/))|\*\/$/gm, (marks) => " ".repeat(marks.length))
    const prose = comment.replace(/`[^`]*`|"[^"\n]*"/g, (quotation) => quotation.replace(/\S/g, "x"))
    return { start, text: comment, prose }
  })
}
