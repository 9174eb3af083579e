/** Describe image: a picture → caption, classes, segments. */

import { el } from "../dom.js";
import { addJobTab, fileOf } from "../job-tab.js";
import { download, figure, picture } from "../media.js";

addJobTab({
  name: "describe-image",

  describe(form) {
    return { path: "/image/imageToText", form: { field: "file", file: fileOf(form), example: "photo.jpg" }, asJob: true };
  },

  async show(result, original) {
    return el(
      "div",
      {},
      el("p", { class: "caption" }, result.caption),
      el("p", { class: "classes" }, el("span", { class: "term" }, "Classes"), result.classification || "none found"),
      el(
        "div",
        { class: "pair" },
        original && figure(picture(URL.createObjectURL(original), "The original"), "Original"),
        figure(picture(result.samUrl, "The segments of the picture, each in its colour"), "Segments ", download(result.samUrl, "segments.png", "Open")),
      ),
    );
  },
});
