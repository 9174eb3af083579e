/** Describe image: an image → caption, classes, text, segments. */

import { el } from "../dom.js";
import { addJobTab, fileOf } from "../job-tab.js";
import { download, figure, img } from "../media.js";

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
      Boolean(result.text) && el("p", { class: "written" }, el("span", { class: "term" }, "Text"), result.text),
      el(
        "div",
        { class: "pair" },
        original && figure(img(URL.createObjectURL(original), "The original"), "Original"),
        figure(img(result.samUrl, "The segments of the image, each in its own color"), "Segments ", download(result.samUrl, "segments.png", "Open")),
      ),
    );
  },
});
