/**
 * A disk whose power can be cut: ext4 in a file of ours, shut down without a flush of its journal (EXT4_IOC_SHUTDOWN).
 * The cut loses every write that was not flushed, and the next mount replays the journal, as after a real power cut. It
 * cannot show a drive that lies about its cache, nor a torn sector within a finished flush.
 */
import * as fs from "node:fs"
import * as Path from "node:path"
import { isRoot, missing } from "../../support/machine.ts"
import { MountSpace } from "../../support/mount-space.ts"

/** Room for some ten thousand events and both areas of the journal, several times over; the file is sparse. */
const bytes = 1024 * 1024 * 1024

export class LoopDisk {
  readonly space: MountSpace
  readonly #image: string
  readonly #mountPoint: string

  readonly #options: ReadonlyArray<string>

  private constructor(space: MountSpace, image: string, mountPoint: string, options: ReadonlyArray<string>) {
    this.space = space
    this.#image = image
    this.#options = options
    this.#mountPoint = mountPoint
  }

  /**
   * Makes an empty disk and mounts it at a directory that only processes in its `space` see. If the machine cannot,
   * returns the reason.
   */
  static async make(
    image: string,
    mountPoint: string,
    options: ReadonlyArray<string> = []
  ): Promise<LoopDisk | string> {
    if (!isRoot) return "needs CAP_SYS_ADMIN and a loop device"
    const lacking = missing("unshare", "nsenter", "mkfs.ext4", "perl")
    if (lacking !== undefined) return lacking
    const space = await MountSpace.make()
    if (typeof space === "string") return `needs ${space}`
    fs.mkdirSync(mountPoint, { recursive: true })
    const disk = new LoopDisk(space, image, mountPoint, options)
    try {
      disk.format()
      return disk
    } catch (error) {
      space.close()
      return `needs a loop device with ext4, and perl(1): ${String((error as Error).message).split("\n").at(-2)}`
    }
  }

  /** Formats the disk. The caller must unmount it first. */
  format(): void {
    fs.rmSync(this.#image, { force: true })
    fs.closeSync(fs.openSync(this.#image, "wx"))
    fs.truncateSync(this.#image, bytes)
    this.space.run("mkfs.ext4", "-q", "-F", this.#image)
    this.mount()
    this.space.run("sync", "-f", this.#mountPoint)
  }

  /** Mounts the disk. `commit=1000` keeps unflushed writes in memory for longer than a round takes. */
  mount(): void {
    this.space.run("mount", "-o", ["loop", "commit=1000", ...this.#options].join(","), this.#image, this.#mountPoint)
  }

  /** Unmounts the disk. Every process that uses it must have ended. */
  unmount(): void {
    this.space.run("umount", this.#mountPoint)
  }

  /** Cuts the power: every write that was not flushed before is lost. */
  cut(): void {
    this.space.run("perl", "-e", shutdown, this.#mountPoint, this.#image)
  }

  /** Makes the file system report an error: with `errors=remount-ro` it takes no more writes. */
  breakDown(): void {
    const device = Path.basename(this.space.run("findmnt", "-n", "-o", "SOURCE", this.#mountPoint).trim())
    if (!/^loop\d+$/.test(device)) throw new Error(`${this.#mountPoint} is on ${device}`)
    const backing = fs.readFileSync(`/sys/block/${device}/loop/backing_file`, "utf8").trim()
    if (backing !== fs.realpathSync(this.#image)) throw new Error(`${device} is ${backing}`)
    fs.writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "chaos")
  }

  close(): void {
    this.space.close()
    fs.rmSync(this.#image, { force: true })
  }
}

/**
 * The call that must never reach any other disk: on a path without a mount it would shut down the machine's own. The
 * script therefore checks the very directory that it has opened: that it is on another device than the root, the
 * temporary directory, the current directory and its own parent; that the device is a loop over our file; and that it
 * is mounted exactly there. _IOR('X', 125, __u32) with 2 means without a flush of the journal.
 */
export const shutdown = `
use strict; use warnings; use Cwd qw(abs_path);
my ($point, $image) = @ARGV;
open(my $directory, "<", $point) or die "cannot open $point: $!\\n";
my $device = (stat($directory))[0];
for my $other ("/", ".", "/tmp", "$point/..") {
  my $its = (stat($other))[0];
  die "$point is on the device of $other, or that cannot be told\\n" if !defined($its) || $its == $device;
}
my $major = ($device >> 8) & 0xfff;
my $minor = ($device & 0xff) | (($device >> 12) & 0xfff00);
open(my $backing, "<", "/sys/dev/block/$major:$minor/loop/backing_file") or die "$point is on no loop device\\n";
chomp(my $file = <$backing>);
die "$point is on the loop of $file\\n" if $file ne abs_path($image);
open(my $mounts, "<", "/proc/self/mountinfo") or die "cannot read the mounts\\n";
my $is_ours = 0;
while (<$mounts>) { my @mount = split / /; $is_ours ||= $mount[2] eq "$major:$minor" && $mount[4] eq abs_path($point) }
die "nothing of ours is mounted at $point\\n" if !$is_ours;
my $how = pack("L", 2);
ioctl($directory, 0x8004587D, $how) or die "cannot shut down $point: $!\\n";
`
