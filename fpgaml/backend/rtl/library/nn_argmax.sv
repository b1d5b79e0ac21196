// Stream stage: 1 where the largest of CHANNELS values is (the first of several), else 0; then one register.
module nn_argmax #(
    parameter int CHANNELS  = 2,
    parameter int IN_WIDTH  = 8,
    parameter int IN_SIGNED = 0
) (
    input  logic                         clk,
    input  logic                         rst,
    input  logic                         in_valid,
    output logic                         in_ready,
    input  logic [CHANNELS*IN_WIDTH-1:0] in_data,
    output logic                         out_valid,
    input  logic                         out_ready,
    output logic [         CHANNELS-1:0] out_data
);
  wire signed [IN_WIDTH:0] best[CHANNELS];
  wire [CHANNELS-1:0] place[CHANNELS];
  generate
    for (genvar c = 0; c < CHANNELS; c++) begin : g_channel
      wire [IN_WIDTH-1:0] code = in_data[c*IN_WIDTH+:IN_WIDTH];
      wire signed [IN_WIDTH:0] x = {IN_SIGNED != 0 && code[IN_WIDTH-1], code};
      if (c == 0) begin : g_first
        assign best[c]  = x;
        assign place[c] = 1;
      end else begin : g_next
        wire larger = x > best[c-1];
        assign best[c]  = larger ? x : best[c-1];
        assign place[c] = larger ? CHANNELS'(1) << c : place[c-1];
      end
    end
  endgenerate

  assign in_ready = !out_valid || out_ready;
  always_ff @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= place[CHANNELS-1];
  end
endmodule
