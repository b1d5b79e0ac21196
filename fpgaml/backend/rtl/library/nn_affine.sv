// Stream stage: a constant factor and a constant bias for each channel, exact; then one register.
module nn_affine #(
    parameter int CHANNELS    = 1,
    parameter int IN_WIDTH    = 8,
    parameter int IN_SIGNED   = 0,
    parameter int SCALE_WIDTH = 8,
    parameter int OUT_WIDTH   = 16,
    parameter logic [CHANNELS*SCALE_WIDTH-1:0] SCALE = '0,
    parameter logic [CHANNELS*OUT_WIDTH-1:0] BIAS = '0
) (
    input  logic                          clk,
    input  logic                          rst,
    input  logic                          in_valid,
    output logic                          in_ready,
    input  logic [ CHANNELS*IN_WIDTH-1:0] in_data,
    output logic                          out_valid,
    input  logic                          out_ready,
    output logic [CHANNELS*OUT_WIDTH-1:0] out_data
);
  localparam int PRODUCT = IN_WIDTH + 1 + SCALE_WIDTH;
  localparam int WIDE = PRODUCT > OUT_WIDTH ? PRODUCT : OUT_WIDTH;
  wire [CHANNELS*OUT_WIDTH-1:0] scaled;
  generate
    for (genvar c = 0; c < CHANNELS; c++) begin : g_channel
      localparam logic signed [SCALE_WIDTH-1:0] FACTOR = SCALE[c*SCALE_WIDTH+:SCALE_WIDTH];
      wire [IN_WIDTH-1:0] code = in_data[c*IN_WIDTH+:IN_WIDTH];
      wire signed [IN_WIDTH:0] x = {IN_SIGNED != 0 && code[IN_WIDTH-1], code};
      wire signed [WIDE-1:0] product = x * FACTOR;
      assign scaled[c*OUT_WIDTH+:OUT_WIDTH] = product[OUT_WIDTH-1:0] + BIAS[c*OUT_WIDTH+:OUT_WIDTH];
    end
  endgenerate

  assign in_ready = !out_valid || out_ready;
  always_ff @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= scaled;
  end
endmodule
