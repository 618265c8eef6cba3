// @ts-check
// All English of the page.

export const TEXTS = {
  title: "Stemwright",
  forPrograms: "API",
  theme: "Light or dark",
  songs: "Songs",
  account: "Account",
  operator: "Operator",
  close: "Close",
  skip: "Skip to the content",

  headline: "Drop a song. Hear its parts.",
  subline: "Vocals and instrumental, or twelve stems. They add up to the song, to the sample.",
  dropHere: "Drop to add",
  chooseFiles: "Choose files",
  chooseFolder: "A folder",
  pasteLink: "A link",
  dropHint: "or drag them here, or paste",
  linkLabel: "Address of a song",
  linkPlaceholder: "https://example.com/song.mp3",
  add: "Add",
  noAudio: "None of these is an audio file. Add MP3, M4A, FLAC, WAV, AIFF, Ogg, Opus, WMA, WebM or MP4 files.",
  badLink: "This is no address of a file. Paste the whole address; it begins with https://.",
  /** @param {string} name */
  emptyFile: (name) => `${name} is empty. Copy or download it again.`,
  /** @param {string} name @param {number} size @param {number} limit bytes */
  largeFile: (name, size, limit) =>
    `${name} is ${bytes(size)}; this server takes at most ${bytes(limit)}. Send it as FLAC or MP3, or in parts; of a film, send only the sound.`,

  stems: "Stems",
  two: "2 stems",
  twelve: "12 stems",
  some: "Choose",
  chooseStems: "Which stems",
  restComes: "The rest of the song comes as one more stem.",
  chooseOne: "Choose at least one stem.",
  known: "I know what plays in this song",
  /** @param {number} n */
  nKnown: (n) => `· ${n} named`,
  knownHint: "What plays? Everything else stays silent, and its sound goes to these. Leave it empty if you are not sure.",
  allSinging: "Singing",
  /** @param {string} stem */
  chosenSilent: (stem) => `${stem} is chosen above and not among what plays: name it there too, or do not choose it.`,
  plan: "Quality",
  /** @param {number | null} minutes @param {boolean} isBound */
  songMinutes: (minutes, isBound) =>
    minutes === null ? "" : `${isBound && minutes >= 1 ? "at most " : ""}${minutes < 1 ? "under a minute" : `about ${Math.round(minutes)} min`}`,
  /** @param {string} name @param {string} cost */
  planOption: (name, cost) => (cost ? `${name} · ${cost}` : name),
  /** @param {string} name @param {string} size */
  planMissing: (name, size) => `${name} · needs ${size} more`,
  costFor: "Times are for a song of three minutes on this server.",
  /** @param {string} models */
  planUses: (models) => `It uses ${models}.`,
  /** @param {string} name @param {string} size @param {string} licences @param {boolean} isOperator */
  planNeeds: (name, size, licences, isOperator) =>
    `${name} is not on this server: ${size} of weights (${licences}). ${isOperator ? "Download them under Operator." : "The operator can download them."}`,
  format: "Format",
  /** @type {Record<string, string>} */
  formats: {
    flac: "FLAC, lossless",
    wav: "WAV, lossless",
    aiff: "AIFF, lossless",
    mp3: "MP3",
    m4a: "M4A (AAC)",
    ogg: "Ogg Vorbis",
    opus: "Opus",
  },

  yourSongs: "Your songs",
  searchSongs: "Search titles",
  sortSongs: "Order",
  /** @type {Record<string, string>} */
  orders: { newest: "Newest first", oldest: "Oldest first", title: "Title", longest: "Longest first" },
  /** @param {string} text */
  noMatch: (text) => `No song has “${text}” in its title.`,
  showAll: "Show all",
  rename: "Rename",
  /** @param {string} title */
  renameSong: (title) => `Rename ${title}`,
  newTitle: "New title",
  /** @param {number} used @param {number | null} limit bytes */
  storageUsed: (used, limit) => `${bytes(used)} ${limit === null ? "stored" : `of ${bytes(limit)} used`}`,
  noSongs: "Nothing here yet. Your songs and their stems will appear in this list.",
  more: "Show more",
  untitled: "Untitled",
  cancel: "Cancel",
  cancelling: "Cancelling …",
  remove: "Delete",
  again: "Try again",
  undo: "Undo",
  /** @param {string} title */
  removed: (title) => `“${title}” was deleted.`,
  /** @param {string} title */
  openSong: (title) => `Open ${title}`,
  /** @param {string} title */
  removeSong: (title) => `Delete ${title}`,
  /** @param {string} title */
  cancelSong: (title) => `Cancel ${title}`,
  /** @type {Record<string, string>} */
  stages: {
    waiting: "Waits to be sent",
    uploading: "Sending",
    pending: "Waits for its turn",
    fetching: "Fetching the song",
    separating: "Separating",
    writing: "Writing the stems",
    storing: "Storing the stems",
    running: "Starting",
    cancelled: "Cancelled",
    failed: "Failed",
  },
  /** @param {number} seconds */
  left(seconds) {
    if (seconds < 5) return "a few seconds left";
    if (seconds < 90) return `${Math.ceil(seconds / 5) * 5} s left`;
    return `${Math.round(seconds / 60)} min left`;
  },
  /** @param {number} n */
  nStems: (n) => (n === 1 ? "1 stem" : `${n} stems`),

  signInTitle: "Sign in",
  signIn: "Sign in",
  signOut: "Sign out",
  /** @param {string} name @param {string} hint */
  signedInWith: (name, hint) => `Signed in with the key “${name}” (${hint}…)`,
  keyWhy: "This server gives each person a key. The first start printed one; the operator makes more with",
  keyCommand: "stemwright keys create NAME",
  keyLabel: "API key",
  keyRemember: "Stay signed in on this device",
  keyWrong: "The server does not know this key, or it was revoked. Check it, or ask the operator for another.",
  keyNeeded: "Paste a key first.",
  sessionEnded: "You are signed out: the session has expired, or its key was revoked. Sign in again; nothing is lost.",

  keysTitle: "API keys",
  keysWhy: "A key opens the account for one program or person. Revoking it ends its sessions too.",
  keyName: "Name",
  keyNameExample: "website",
  keyMay: "It may",
  /** @type {Record<string, string>} */
  keyScopes: {
    read: "look only",
    write: "change only",
    "read,write": "look and change",
    "read,write,operator": "administer the server too",
  },
  createKey: "Create a key",
  /** @param {string} name */
  newKey: (name) => `This is the key “${name}”. Copy it now: it is not shown again.`,
  revoke: "Revoke",
  revokeForGood: "Revoke for good",
  keep: "Keep",
  /** @param {string} name */
  revokeKey: (name) => `Revoke ${name}`,
  /** @param {string} day */
  madeOn: (day) => `created ${day}`,
  thisOne: "in use here",
  copy: "Copy",
  copied: "Copied",
  copyFailed: "Select and copy it",

  usageTitle: "Usage",
  creditsLeft: "Credits left",
  unmetered: "no limit",
  storage: "Storage",
  today: "today",
  day: "Day",
  /** @param {number} value */
  amount: (value) => value.toLocaleString("en-GB", { maximumFractionDigits: 2 }),
  /** @param {number} days */
  separationsIn: (days) => `Separations, ${days} days`,
  /** @param {number} days */
  minutesIn: (days) => `Minutes of music, ${days} days`,
  creditsADay: "Credits a day",
  separationsADay: "Separations a day",
  /** @param {string} day @param {number | null} credits @param {number} separations @param {number} minutes */
  usageTip: (day, credits, separations, minutes) =>
    [
      day,
      credits === null ? null : `${TEXTS.amount(credits)} credits`,
      separations === 1 ? "1 separation" : `${separations} separations`,
      `${minutes.toFixed(1)} min`,
    ]
      .filter(Boolean)
      .join(" · "),
  /** @param {number} days */
  keptFor: (days) => `Songs and stems are kept for ${TEXTS.amount(days)} days. Days are in UTC; separations count while they are kept.`,

  callbacksTitle: "Callbacks",
  noCallbacks: "No callbacks yet. A separation that is ordered with callback_url posts its result there; each attempt shows here.",
  sendAgain: "Send again",
  sendNow: "Send now",
  /** @type {Record<string, string>} */
  deliveryStates: {
    pending: "waits",
    delivered: "delivered",
    failed: "failed, comes again",
    blocked: "blocked by this server",
    dead: "given up",
  },
  /** @param {number} number */
  attempt: (number) => `attempt ${number}`,
  /** @param {number} code */
  httpStatus: (code) => `answered ${code}`,

  snippetsTitle: "Use it from a program",
  snippetLines: "Lines to copy",
  face: "API",
  language: "Language",
  /** @type {Record<string, string>} */
  faces: { own: "Stemwright", kie: "kie.ai", crun: "crun.ai" },
  /** @type {Record<string, string>} */
  languages: { curl: "curl", python: "Python" },
  /** @type {Record<string, string>} */
  snippetHints: {
    own: "All functions. The Python client comes with pip install 'stemwright[server]'.",
    kie: "The same calls as at kie.ai, with this address and a key of this server.",
    crun: "The same calls as at crun.ai, with this address and a key of this server.",
  },

  now: "Now",
  /** @param {string} version @param {number} accounts */
  release: (version, accounts) => `Release ${version} · ${accounts === 1 ? "1 account" : `${accounts} accounts`}`,
  maintenance: "Maintenance",
  maintenanceWhy: "New songs are refused; running ones continue.",
  waiting: "Waiting",
  running: "Running",
  workers: "Workers ready",
  /** @param {number} ready @param {number} configured */
  workersReady: (ready, configured) => `${ready} of ${configured}`,
  workersElsewhere: "elsewhere",
  failedTasks: "Failed, kept",
  stored: "Stored",
  diskFree: "Disk free",
  throughput: "Throughput",
  finished: "Finished tasks",
  succeeded: "succeeded",
  failed: "failed",
  realTimeFactor: "Times real time",
  begins: "From",
  range: "Time",
  ranges: ["24 hours", "7 days", "30 days"],
  /** @param {string} iso @param {number} hours */
  stepLabel: (iso, hours) =>
    hours < 24
      ? new Date(iso).toLocaleString("en-GB", hours === 1 ? { hour: "2-digit", minute: "2-digit" } : { weekday: "short", hour: "2-digit" })
      : new Date(iso).toLocaleDateString("en-GB", { day: "numeric", month: "short" }),
  /** @param {string} label @param {number} succeeded @param {number} failed @param {number | null} factor */
  stepTip: (label, succeeded, failed, factor) =>
    [label, `${succeeded} succeeded`, failed ? `${failed} failed` : null, factor === null ? null : `${factor.toFixed(1)} × real time`]
      .filter(Boolean)
      .join(" · "),
  tasksTitle: "Tasks",
  taskState: "State",
  /** @type {Record<string, string>} */
  taskStates: {
    "": "all",
    pending: "waits",
    running: "running",
    succeeded: "succeeded",
    failed: "failed",
    cancelled: "cancelled",
  },
  noTasks: "No tasks.",
  /** @param {number} seconds */
  took: (seconds) => `took ${seconds < 100 ? `${Math.max(1, Math.round(seconds))} s` : clockTime(seconds)}`,
  modelsTitle: "Models",
  /** @param {number} count @param {string} size */
  onDisk: (count, size) => `${count} on disk, ${size}`,
  inWheel: "built in",
  installed: "on disk",
  needsTorch: "needs PyTorch",
  /** @param {string} licence */
  licence: (licence) => (licence === "unstated" ? "licence not stated" : `licence ${licence}`),
  /** @param {string} name @param {string} size @param {string} licence */
  downloadModel: (name, size, licence) => `Download ${name}: ${size}, licence of the weights ${licence}`,
  settingsTitle: "Settings",
  settingsWhy: "As this server was started; secrets are not shown. Those that differ from the default stand out.",
  settingsColumns: ["Variable", "Value", "What it does"],
  none: "none",

  problemTitle: "That did not work",
  unreachable: "The server cannot be reached. What was sent is safe; this page goes on by itself when it is back.",
  brokeOff: "The upload broke off several times. The file may be larger than the server takes, or the network is bad.",
  odd: "The server sent something that this page cannot read. Reload the page.",
  noAudioContext: "This browser has no Web Audio. Use a current Chrome, Edge, Firefox or Safari.",
  cannotDecode: "A part of this song could not be decoded in the browser.",

  backToSongs: "All songs",
  download: "Download",
  downloadAll: "All stems, one zip",
  downloadMix: "This mix, as it sounds now (WAV)",
  downloadKaraoke: "Karaoke: all but the singing (WAV)",
  downloadDaw: "For a DAW: WAVs and a REAPER project",
  downloadStemFile: "For DJs: a .stem.mp4 …",
  stemFileTitle: "Native Instruments’ Stems",
  stemFileWhy: "One file with the mix and four groups, for Traktor and other DJ software. Which stem goes where?",
  stemFileLossless: "Lossless (ALAC), four times as large",
  /** @param {number} number */
  groupName: (number) => `Name of group ${number}`,
  expired: "The stems of this song are no longer stored. Drop the song again to separate it anew.",
  loading: "Loading …",
  notReady: "This song is not separated yet.",
  play: "Play",
  pause: "Pause",
  toStart: "Back to the start",
  loop: "Loop",
  loopHint: "Loop (drag on the ruler to choose where)",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  follow: "Follow",
  original: "Original",
  originalHint: "Hear the original song instead of the mix of the stems",
  speedAndKey: "Speed and key",
  speed: "Speed",
  speedHint: "Speed, without a change of pitch",
  /** @param {number} speed */
  speedValue: (speed) => `${speed.toFixed(2).replace(/0$/, "")} ×`,
  key: "Key",
  keyHint: "Key, in semitones",
  /** @param {number} semitones */
  keyValue: (semitones) => (semitones === 0 ? "Key ±0" : `Key ${semitones > 0 ? "+" : "−"}${Math.abs(semitones)}`),
  /** @param {number} share */
  making: (share) => `Making it … ${Math.floor(share * 100)} %`,
  stopMaking: "Stop making it",
  renderingGone: "This speed and key is no longer on the server. Choose it again; the song as it is plays meanwhile.",
  noOriginal: "The original song is no longer stored; its stems are.",
  master: "Master",
  keys: "Keys",
  mute: "Mute",
  volume: "Volume",
  pan: "Pan",
  reset: "Reset the mix",
  position: "Position in the song",
  /** @param {string} stem */
  muteStem: (stem) => `Mute ${stem}`,
  /** @param {string} stem */
  soloStem: (stem) => `Solo ${stem}`,
  soloHint: "Solo. With Ctrl: only this one",
  /** @param {string} stem */
  volumeOf: (stem) => `Volume of ${stem}`,
  /** @param {string} stem */
  panOf: (stem) => `Pan of ${stem}`,
  drawing: "Drawing …",
  look: "Picture",
  /** @type {Record<string, string>} */
  looks: { waveform: "Waveforms", spectrogram: "Spectrograms", taken: "What was taken" },
  lookHint: "Waveforms, spectrograms, or the song with what each stem took of it (V)",
  songRow: "Show the song above its stems",
  /** @type {Record<"waveform" | "spectrogram" | "taken", (stem: string) => string>} */
  showLook: {
    waveform: (stem) => `Show the waveform of ${stem}`,
    spectrogram: (stem) => `Show the spectrogram of ${stem}`,
    taken: (stem) => `Show what ${stem} took of the song`,
  },
  /** @type {Record<"waveform" | "spectrogram" | "taken", (stem: string) => string>} */
  lookOf: {
    waveform: (stem) => `Waveform of ${stem}`,
    spectrogram: (stem) => `Spectrogram of ${stem}`,
    taken: (stem) => `What ${stem} took of the song`,
  },
  /** @type {Record<string, string>} */
  presence: { plays: "plays", hardly: "hardly plays", silent: "silent" },
  /** @param {number} n */
  nSilent: (n) => (n === 1 ? "1 stem is silent" : `${n} stems are silent`),
  /** @param {number} pan */
  panValue: (pan) => (pan === 0 ? "centre" : `${Math.round(Math.abs(pan) * 100)} % ${pan < 0 ? "left" : "right"}`),
  /** @param {number} db */
  decibels: (db) => (db === -Infinity ? "silent" : `${db > 0 ? "+" : ""}${db.toFixed(1)} dB`),

  /** @type {Record<string, string>} */
  stemNames: {
    vocals: "Vocals",
    backing_vocals: "Backing vocals",
    drums: "Drums",
    bass: "Bass",
    guitar: "Guitar",
    keyboard: "Keyboard",
    strings: "Strings",
    brass: "Brass",
    woodwinds: "Woodwinds",
    percussion: "Percussion",
    synth: "Synth",
    fx: "FX / other",
    instrumental: "Instrumental",
    residual: "The rest",
    song: "Song",
  },

  shortcuts: [
    ["Space", "play or pause"],
    ["← →", "5 seconds back or on; with Shift 1 second"],
    ["Home, End", "to the start or the end"],
    ["1 … 9, 0, -, =", "solo of a stem; with Shift: only this one (1 … 9, 0)"],
    ["M", "mute the stem in focus"],
    ["A", "original or mix of the stems"],
    ["L", "loop on or off; drag on the ruler to choose where"],
    ["+, -", "zoom (with Shift where - and = are stems)"],
    [", .", "slower, faster; with Shift: a semitone lower, higher"],
    ["V", "waveforms, spectrograms, or what each stem took"],
    ["F", "follow the playhead"],
    ["R", "reset the mix"],
    ["?", "these keys"],
  ],
};

/**
 * Minutes and seconds.
 * @param {number} seconds
 * @param {boolean} [tenths]
 */
export function clockTime(seconds, tenths = false) {
  const whole = Math.max(0, tenths ? Math.floor(seconds * 10) / 10 : Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = (whole % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Bytes as people read them. @param {number} count */
export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, count ? Math.floor(Math.log10(count) / 3) : 0);
  const value = count / 1000 ** power;
  return `${power > 1 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/**
 * A moment as a day, or as the time of today.
 * @param {string} iso
 * @param {Date} [now]
 */
export function day(iso, now = new Date()) {
  const at = new Date(iso);
  if (at.toDateString() === now.toDateString()) return `today ${at.toTimeString().slice(0, 5)}`;
  const isThisYear = at.getFullYear() === now.getFullYear();
  return at.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: isThisYear ? undefined : "numeric" });
}

/** @param {string} name */
export function stemName(name) {
  return TEXTS.stemNames[name] ?? name;
}
