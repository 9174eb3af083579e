/** Track video: a video → the same with its objects marked, and the tracks as text. */

import { el } from "../dom.js";
import { addJobTab, fileOf } from "../job-tab.js";
import { besideOriginal, download, sourceOf } from "../media.js";

/** @param {Record<string, number>} counts of objects by class */
const countsTable = (counts) =>
  el(
    "dl",
    { class: "counts" },
    ...Object.entries(counts).map(([name, count]) => el("div", {}, el("dt", {}, name), el("dd", {}, count))),
  );

addJobTab({
  name: "track-video",

  describe(form) {
    return { path: "/video/motInference", form: { field: "file", file: fileOf(form), example: "street.mp4" }, asJob: true };
  },

  async show(result, original) {
    const [video, tracks] = [sourceOf(result.data), sourceOf(result.tracks)];
    return el(
      "div",
      {},
      result.counts && countsTable(result.counts),
      besideOriginal(original, video, "Tracked ", download(video, "tracked.mp4"), " ", download(tracks, "tracks.txt", "Tracks as text")),
    );
  },
});
