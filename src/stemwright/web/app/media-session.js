// @ts-check
// The keys of a keyboard or headset, and the lock screen.

/** @typedef {import("./playback.js").Playback} Playback */

/** @param {{title: string, seconds: number, playback: Playback, rate: number}} song */
export function bindMediaSession({ title, seconds, playback, rate }) {
  const session = "mediaSession" in navigator ? navigator.mediaSession : null;
  /** @type {[MediaSessionAction, MediaSessionActionHandler][]} */
  const actions = [
    ["play", () => playback.play()],
    ["pause", () => playback.pause()],
    ["stop", () => (playback.pause(), playback.seek(0))],
    ["seekbackward", (details) => playback.seek(playback.frame - (details.seekOffset ?? 5) * rate)],
    ["seekforward", (details) => playback.seek(playback.frame + (details.seekOffset ?? 5) * rate)],
    ["seekto", (details) => playback.seek((details.seekTime ?? 0) * rate)],
    ["previoustrack", () => playback.seek(0)],
  ];
  if (session) {
    session.metadata = new MediaMetadata({ title, artist: "Stemwright" });
    for (const [action, handler] of actions) {
      try {
        session.setActionHandler(action, handler);
      } catch {
        // this browser has no such action
      }
    }
  }
  return {
    /** @param {boolean} isPlaying @param {number} position in seconds */
    update(isPlaying, position) {
      if (!session) return;
      session.playbackState = isPlaying ? "playing" : "paused";
      session.setPositionState?.({ duration: seconds, position: Math.min(seconds, position), playbackRate: playback.version.speed });
    },
    close() {
      if (!session) return;
      session.metadata = null;
      session.playbackState = "none";
      for (const [action] of actions) {
        try {
          session.setActionHandler(action, null);
        } catch {
          // as above
        }
      }
    },
  };
}
